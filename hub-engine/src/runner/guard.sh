# Waits for the end of the worker, which keeps the other end of standard input open. A worker that ends normally ends
# this process first. Otherwise this process kills the processes of its tasks and removes its directory. $1: the mark of
# its tasks' processes, $2: the worker, $3: its process group, $4: the directory.
trap '' HUP INT QUIT TERM
read -r _
mark=$1 worker=$2 workers_group=$3 directory=$4

# Sets `state`, `group` and `session` of a process.
look_at() {
    read -r stat < "/proc/$1/stat" || return 1
    # The name in parentheses may contain anything. After it: state, parent, group, session.
    case $stat in *") "*) ;; *) stat=$(cat "/proc/$1/stat") || return 1 ;; esac
    set -- ${stat##*) }
    state=$1 group=$3 session=$4
} 2> /dev/null

# The processes that may belong to tasks. A process can join a session only by inheritance. So if the worker led its
# session, all members are its descendants, even if they have cleared their environment.
candidates() {
    if [ "$own" = "$worker" ]; then
        printf '%s\n' /proc/[0-9]*
    else
        grep -ls "$mark" /proc/[0-9]*/environ 2> /dev/null
    fi
}

look_at $$ || exit 1
own=$session own_group=$group
# Processes that are started in the meantime are found in the next pass.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    found=
    for file in $(candidates); do
        process=${file#/proc/}
        process=${process%/environ}
        look_at "$process" || continue
        # A process in its own session is intended to outlive its task.
        [ "$session" = "$own" ] && [ "$group" != "$own_group" ] && [ "$state" != Z ] || continue
        found=yes
        if [ "$group" = "$workers_group" ]; then kill -s KILL "$process"; else kill -s KILL -- "-$group"; fi
    done 2> /dev/null
    [ "$found" ] || break
done
rm -rf -- "$directory"
