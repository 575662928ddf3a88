package sshconfig_test

import (
	"fmt"
	"log"

	"fleet/sshpool/sshconfig"
)

const text = `Host web1 web2
  HostName %h.example.com
  Port 2222
  ForwardAgent yes
Host web* !web9
  User deploy
`

func ExampleConfig_Resolve() {
	config, err := sshconfig.Parse(&sshconfig.Env{User: "me", Home: "/home/me"}, "config", text)
	if err != nil {
		log.Fatal(err)
	}
	r, err := config.Resolve(sshconfig.Query{Host: "web1"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.HostName.V, r.Port.V, r.User.V)
	fmt.Println("the user is from", r.User.From)
	// Output:
	// web1.example.com 2222 deploy
	// the user is from config:6
}

func ExampleConfig_HostNames() {
	config, err := sshconfig.Parse(&sshconfig.Env{User: "me", Home: "/home/me"}, "config", text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(config.HostNames())
	// Output:
	// [web1 web2]
}

// Mistakes are named with their place.
func ExampleError() {
	_, err := sshconfig.Parse(&sshconfig.Env{User: "me", Home: "/home/me"}, "config", "Port many\n")
	fmt.Println(err)
	// Output:
	// config:1: "many" is not a port
}
