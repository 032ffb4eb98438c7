# For `make run`: zlib-ng, which comes with pingora, is built without its variants for single processors. They take most
# of the time of its build, and the demo compresses nothing.
set(WITH_OPTIM OFF CACHE BOOL "")
