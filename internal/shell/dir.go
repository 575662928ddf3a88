package shell

import (
	"path"
	"strings"

	"fleet/tasks"
)

// enter gives the folder that a session is in after ":cd to" in from. The empty
// folder is where a command begins by itself. Links are not looked up: ".."
// takes the last name away, as in a shell (POSIX.1-2017, cd).
func enter(from, to string) string {
	switch {
	case to == "":
		return ""
	case to[0] == '/' || to[0] == '~':
		return cleanDir(to)
	case from == "":
		return cleanDir("./" + to)
	}
	return cleanDir(from + "/" + to)
}

// cleanDir shortens an absolute path, one from a home (~, ~user), or one from
// where a command begins (./ or ../).
func cleanDir(dir string) string {
	if dir[0] == '/' {
		return path.Clean(dir)
	}
	if dir[0] == '~' {
		home, rest, _ := strings.Cut(dir, "/")
		return strings.TrimSuffix(home+"/"+strings.TrimPrefix(path.Clean("./"+rest), "./"), "/.")
	}
	switch dir = path.Clean(dir); {
	case dir == ".":
		return ""
	case dir == "..", strings.HasPrefix(dir, "../"):
		return dir
	}
	return "./" + dir
}

// toDir is what a host's shell does to enter dir, with end behind it. A host that
// has no such folder does nothing of what follows.
func toDir(dir, end string) string {
	if dir == "" {
		return ""
	}
	return "cd " + quoteDir(dir) + " || exit" + end
}

// quoteDir quotes dir but for a leading ~ or ~user, which the host's shell
// shall expand (POSIX.1-2017, Shell Command Language, 2.6.1).
func quoteDir(dir string) string {
	if dir[0] != '~' {
		return tasks.Quote(dir)
	}
	home, rest, deeper := strings.Cut(dir, "/")
	if strings.Trim(home[1:], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		return tasks.Quote("./" + dir) // no user's name
	}
	if !deeper || rest == "" {
		return home
	}
	return home + "/" + tasks.Quote(rest)
}
