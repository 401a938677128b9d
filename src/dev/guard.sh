# Runs one server and takes it down when the service that wanted it is gone, however it went.
#
#   guard.sh LOG "SIGNAL:SECONDS ..." COMMAND [ARGUMENT ...]
#
# Standard input is a pipe whose only writer is the service. The kernel closes it when the service
# ends: by exit, panic, Ctrl-C or kill -9. Exit status: the server's.
log=$1 steps=$2
shift 2

exec 3<&0
# A session of its own: the terminal's Ctrl-C does not reach it, and the session's process group
# holds whatever the server forks.
setsid "$@" </dev/null 3<&- >>"$log" 2>&1 &
server=$!
trap '' HUP INT QUIT TERM

(
    read -r _ <&3
    for step in $steps; do
        kill -s "${step%:*}" "$server"
        ticks=$((${step#*:} * 20))
        while [ "$ticks" -gt 0 ] && kill -0 "$server"; do
            sleep 0.05
            ticks=$((ticks - 1))
        done
    done
    kill -s KILL -- "-$server"
) </dev/null >/dev/null 2>&1 &
watcher=$!

wait "$server"
status=$?
# What the server forked and left behind; its end is waited for, but not for ever: a container's
# first process may leave zombies.
kill -s KILL "$watcher"
wait "$watcher"
ticks=100
while [ "$ticks" -gt 0 ] && kill -s KILL -- "-$server"; do
    sleep 0.01
    ticks=$((ticks - 1))
done
exit "$status"
