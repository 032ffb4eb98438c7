# An image with only the Go program of tests/origins/go, unmodified. docker/compose.yaml builds it.
FROM docker.io/library/golang:1-alpine AS build
WORKDIR /build
COPY main.go .
RUN CGO_ENABLED=0 go build -o /origin main.go

FROM scratch
COPY --from=build /origin /origin
ENTRYPOINT ["/origin"]
CMD ["0.0.0.0:9000"]
