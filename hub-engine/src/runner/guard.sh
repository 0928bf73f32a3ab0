# Waits for the end of the worker, which holds the other end of standard input. A worker that ends in good order ends this
# process first. Otherwise: ends the processes of its tasks, known by their mark, and removes its directory.
# $1: the mark, $2: the worker's process group, $3: the directory.
trap '' HUP INT QUIT TERM
read -r _
mark=$1 worker=$2 directory=$3

# Sets `group` and `session` of a process.
look_at() {
    stat=$(cat "/proc/$1/stat" 2> /dev/null) || return 1
    # After the name, which is in parentheses and may hold anything: state, parent, group, session.
    set -- ${stat##*) }
    group=$3 session=$4
}

look_at $$ || exit 1
own=$session
# Whatever is starting further processes meanwhile is found with the next pass.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    found=
    for file in $(grep -ls "$mark" /proc/[0-9]*/environ 2> /dev/null); do
        process=${file#/proc/}
        process=${process%/environ}
        look_at "$process" || continue
        # What has left for a session of its own was meant to outlive its task.
        [ "$session" = "$own" ] || continue
        found=yes
        if [ "$group" = "$worker" ]; then kill -s KILL "$process"; else kill -s KILL -- "-$group"; fi
    done 2> /dev/null
    [ "$found" ] || break
done
rm -rf -- "$directory"
