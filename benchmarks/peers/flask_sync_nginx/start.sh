#!/bin/sh
# gunicorn behind nginx: both in the foreground, and both end when this is told to.
# start.sh PYTHON FOLDER SOCKET NGINX_CONF [GUNICORN_OPTION...]
python=$1 folder=$2 socket=$3 configuration=$4
shift 4
rm -f "$socket"
"$python" -m gunicorn app:app --chdir "$folder" --bind "unix:$socket" --worker-class sync \
    --no-control-socket --log-level warning "$@" &
gunicorn=$!
nginx -p "$PWD" -c "$configuration" -e stderr &
nginx=$!
trap 'kill -TERM $gunicorn; kill -QUIT $nginx; wait' TERM INT
wait
