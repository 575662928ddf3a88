// Package inventory knows the hosts, their groups, how to reach them and their
// variables, and the two small languages that name hosts. It reads files; it
// opens no connection and resolves no name.
//
// Where to begin: [Load] reads hosts.yaml files into an [Inventory];
// [Inventory.Select] finds the [Host] values that a pattern means; [Fold] writes
// names short, [ExpandSet] and [ParseSet] write them out. Errors are [Errors] of
// [Error] values for files, and [PatternError] for patterns and host sets.
//
// # The file
//
// A file has three sections, none of which is required:
//
//	defaults: {user: deploy}                    # holds for every host
//	hosts:
//	  web[01-20]: {address: "10.0.0.[1-20]"}    # ranges on both sides pair up
//	  web20: {port: 2222}                       # adds to the range above
//	  db1: {address: 10.0.1.1, key: ~/.ssh/ops, vars: {role: primary}}
//	  bastion:                                  # the name is the address
//	groups:
//	  web:  {hosts: ["web[01-20]"], user: www, vars: {tier: front}}
//	  db:   {hosts: [db1], become: true}
//	  prod: {children: [web, db], jump: [bastion]}
//
// Defaults, hosts and groups may hold the settings of [Settings], in lower case
// with underscores (connect_timeout), and vars. Keys of the file that begin with
// "x-" are left alone, as places for yaml anchors. A host that only a group names
// exists too.
//
// # What a host gets
//
// Weakest first: defaults; the host's groups by depth, parents before children;
// the host's own entry. The depth of a group is the longest way to it from a
// group without parents. Of groups of equal depth, the one written first is the
// weaker. In one file a host written by itself is stronger than a range that
// holds it; a later file is stronger than an earlier one in what both say of the
// same host, group or default. Each setting and each variable is taken whole from
// the strongest that says it: lists and mappings are not mixed. jump and
// proxy_command count as one setting. A jump list ends before the host itself, so
// that bastions may inherit the list that leads through them.
//
// # Patterns
//
//	web01            the host, or the group; both, where there are both
//	web[01-20]       all of these; one that is missing is an error
//	web*   web?      hosts by name: any text, one character
//	@web   @rack*    groups only
//	~REGEX           hosts whose names the expression matches anywhere; it goes to
//	                 the end of the pattern, whatever stands in it
//	~/REGEX/         the same, but ends at the second slash (\/ is a slash in it)
//	all              every host
//	!a               every host but a, at the beginning of a pattern
//	a,b   a!b        in a or b; in a and not in b
//	a&b   a^b        in both; in just one of them
//
//	role=front       hosts of which a variable, a setting or a fact (UseFacts) is so:
//	mem<2G           = != < <= > >= compare numbers, sizes, times and versions, "="
//	ip=10.0.0.0/8    also with * and ?, and addresses with networks
//	os~/^deb/        a regular expression, as above
//	a&!b             a!b
//
// From Ansible's patterns there are, where no name is meant by them:
//
//	a:b              in a or b
//	a:&b   a:!b      in both; in a and not in b; also a,&b and a,!b. In a pattern
//	                 with one of these all parts that add come first, then those
//	                 with &, then those with !
//	web[0:2] web[1:] the first three hosts of web, all but the first, in inventory
//	web[-1]  web[0]  order; the last; the first, unless hosts are called web0 or the like
//	@FILE            the patterns in a file, one a line, where no group is called so
//
// Operators have no rank: each is applied to all that stands to its left, as in
// ClusterShell's nodeset, so a,b&c is (a,b)&c. Spaces around words do not count.
// A name that the inventory does not have is an error, also after ! and &. A glob
// or expression that matches nothing is one where it was to add hosts. Expressions
// are those of package regexp.
//
// # Host sets
//
// A host set is names and ranges with commas between them, in the syntax of
// nodeset: web[01-20], web[1-9/2] for every second, web[1,3-5], rack[1-2]-node[1-4].
// 01-20 keeps its zeros; both ends of a padded range have the same width. Two
// ranges in a name need a character between them that is no digit. Numbers of more
// than 18 digits are text. Other than nodeset, names stay in the order written.
package inventory
