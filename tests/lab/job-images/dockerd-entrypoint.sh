#!/bin/sh
# The entry point of the lab's `dind` image. As docker:dind's own does it (docker-library/docker, dockerd-entrypoint.sh): with
# DOCKER_TLS_CERTDIR set it makes a CA, a server and a client certificate there and listens with TLS on 2376; with the variable
# empty it listens without on 2375.
set -eu
dir=${DOCKER_TLS_CERTDIR-/certs}
if [ -z "$dir" ]; then
    exec dockerd --host unix:///var/run/docker.sock --host tcp://0.0.0.0:2375 --tls=false "$@"
fi

certificate() {
    name=$1 usage=$2 subject=$3
    mkdir -p "$dir/$name"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$subject" -keyout "$dir/$name/key.pem" -out "$dir/$name/csr.pem" 2>/dev/null
    printf 'extendedKeyUsage=%s\nsubjectAltName=DNS:docker,DNS:localhost,DNS:%s,IP:127.0.0.1\n' "$usage" "$(hostname)" >"$dir/$name/extensions"
    openssl x509 -req -in "$dir/$name/csr.pem" -CA "$dir/ca/cert.pem" -CAkey "$dir/ca/key.pem" -CAcreateserial -days 30 -extfile "$dir/$name/extensions" \
        -out "$dir/$name/cert.pem" 2>/dev/null
    cp "$dir/ca/cert.pem" "$dir/$name/ca.pem"
}

mkdir -p "$dir/ca"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=dind CA" -keyout "$dir/ca/key.pem" -out "$dir/ca/cert.pem" 2>/dev/null
certificate server serverAuth docker
certificate client clientAuth client
exec dockerd --host unix:///var/run/docker.sock --host tcp://0.0.0.0:2376 --tlsverify --tlscacert "$dir/server/ca.pem" --tlscert "$dir/server/cert.pem" \
    --tlskey "$dir/server/key.pem" "$@"
