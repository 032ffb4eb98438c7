# To be sourced by scripts/try-image: an origin behind TLS, and manifold itself with TLS for its clients. Their certificate is from
# an authority that is made here.
# shellcheck shell=bash disable=SC2154

tls=$folder/tls
mkdir "$tls"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=authority of try-image" \
    -keyout "$tls/authority.key" -out "$tls/authority.crt" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" \
    -keyout "$tls/origin.key" -out "$tls/origin.csr" 2>/dev/null
openssl x509 -req -in "$tls/origin.csr" -CA "$tls/authority.crt" -CAkey "$tls/authority.key" -CAcreateserial -days 2 \
    -extfile <(echo "subjectAltName = DNS:localhost, IP:127.0.0.1") -out "$tls/origin.crt" 2>/dev/null

free_port
TLS_ORIGIN=127.0.0.1:$PORT
cat >"$tls/nginx.conf" <<END
daemon off; master_process off; pid $tls/nginx.pid; error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path $tls/body; proxy_temp_path $tls/proxy; fastcgi_temp_path $tls/fastcgi;
    uwsgi_temp_path $tls/uwsgi; scgi_temp_path $tls/scgi;
    server {
        listen $TLS_ORIGIN ssl;
        ssl_certificate $tls/origin.crt;
        ssl_certificate_key $tls/origin.key;
        location / { proxy_pass http://$ORIGIN; proxy_buffering off; }
    }
}
END
PATH=$PATH:/usr/sbin nginx -p "$tls" -c "$tls/nginx.conf" >"$tls/nginx.log" 2>&1 &
processes+=($!)
await "nginx answers" curl --silent --cacert "$tls/authority.crt" --output /dev/null "https://$TLS_ORIGIN/"

cat >"$folder/https.toml" <<END
[[routes]]
path = "/*"
origin = "https://$TLS_ORIGIN"

[routes.upstream]
ca_file = "/run/secrets/authority.crt"
END
start ca-file --volume "$folder/https.toml:/etc/manifold/manifold.toml:ro" \
    --volume "$tls/authority.crt:/run/secrets/authority.crt:ro"
events "http://$AT/events" 3 "$folder/ca-file"
fact "an https origin is trusted by a mounted ca_file"
same "it ends" "$(end)" 0

start bundle --env "MANIFOLD_ORIGIN=https://$TLS_ORIGIN" --volume "$tls/authority.crt:/etc/ssl/certs/ca-certificates.crt:ro"
events "http://$AT/events" 3 "$folder/bundle"
fact "it is trusted too when its authority stands in /etc/ssl/certs/ca-certificates.crt"
same "it ends" "$(end)" 0

start untrusted --env "MANIFOLD_ORIGIN=https://$TLS_ORIGIN"
curl --silent --max-time 30 "http://$AT/events" >"$folder/untrusted" &
processes+=($!)
await "an unknown authority is named in the log" logged "$CONTAINER" "certificate"
! grep -q '^data: ' "$folder/untrusted" || false_fact "an https origin of an unknown authority was read"
fact "an https origin of an unknown authority is refused, and the log says why"
same "it ends" "$(end)" 0

# The same certificate and key for clients. There is no other address, so the health check asks this one.
mkdir "$tls/mounted"
cp "$tls/origin.crt" "$tls/mounted/tls.crt"
cp "$tls/origin.key" "$tls/mounted/tls.key"
chmod 644 "$tls/mounted"/*
free_port
SECURE=127.0.0.1:$PORT
cat >"$folder/secure.toml" <<END
[server]
listen = []

[server.tls]
listen = ["$SECURE"]
cert = "/run/secrets/tls.crt"
key = "/run/secrets/tls.key"

[[routes]]
path = "/*"
origin = "http://$ORIGIN"
END
secure=(--volume "$folder/secure.toml:/etc/manifold/manifold.toml:ro" --volume "$tls/mounted:/run/secrets:ro")
CONTAINER=$prefix-secure
containers+=("$CONTAINER")
"$engine" run --detach --name "$CONTAINER" --network host "${RUN_FLAGS[@]}" "${HARDENED[@]}" "${secure[@]}" "$IMAGE" >/dev/null
await "$CONTAINER listens on $SECURE" logged "$CONTAINER" "listening addr=$SECURE"
CURL_CA_BUNDLE=$tls/authority.crt events "https://$SECURE/events" 3 "$folder/secure"
fact "a stream is read through it over TLS, with a mounted certificate and key"
"$engine" exec "$CONTAINER" /usr/local/bin/manifold healthcheck >"$folder/said" 2>&1 ||
    false_fact "its health check over TLS: $(cat "$folder/said")"
fact "its health check over TLS: $(cat "$folder/said")"
same "it ends" "$(end)" 0
