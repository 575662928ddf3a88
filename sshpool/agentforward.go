package sshpool

import (
	"errors"
	"io"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Agent forwarding (OpenSSH's PROTOCOL.agent): a command's host may use an agent
// of this machine while the command runs. Whoever has root there may then log in
// elsewhere with the keys in it, so that it is off unless a Command asks for it.

const (
	agentRequest     = "auth-agent-req@openssh.com"
	agentChannelType = "auth-agent@openssh.com"
)

// maxAgentChannels is how many programs of one host may talk to the agent at once.
const maxAgentChannels = 16

// lentAgent is the agent that a connection's commands lend to the host. The
// host does not say for which command it asks, so that it is one at a time.
type lentAgent struct {
	mu       sync.Mutex
	socket   string
	users    int // commands that lend it
	channels int
	granted  bool // the host agreed once

	asking sync.Mutex // held while the host is asked to agree
}

// requestAgent tells the host that a command lends it an agent. sshd agrees
// once a connection, for all that comes, and refuses then.
func (c *Conn) requestAgent(ch ssh.Channel) (bool, error) {
	c.agent.asking.Lock() // else who is refused might not know yet that another was not
	defer c.agent.asking.Unlock()
	ok, err := ch.SendRequest(agentRequest, true, nil)
	c.agent.mu.Lock()
	defer c.agent.mu.Unlock()
	c.agent.granted = c.agent.granted || ok
	return c.agent.granted && err == nil, err
}

var errOtherAgent = errors.New("another agent is being forwarded over this connection")

// lend gives the host the use of the agent at socket until takeBack.
func (a *lentAgent) lend(socket string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users > 0 && a.socket != socket {
		return errOtherAgent
	}
	a.socket = socket
	a.users++
	return nil
}

// takeBack ends the loan of one command, if it had one. What talks to the agent
// already may go on.
func (c *Conn) takeBack(lent bool) {
	if !lent {
		return
	}
	c.agent.mu.Lock()
	defer c.agent.mu.Unlock()
	c.agent.users--
}

// enter gives the socket to one more channel, if there is one to give.
func (a *lentAgent) enter() (socket string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users == 0 || a.channels >= maxAgentChannels {
		return "", false
	}
	a.channels++
	return a.socket, true
}

func (a *lentAgent) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.channels--
}

// agentChannel connects a channel that the host opened to the agent.
func (c *Conn) agentChannel(nc ssh.NewChannel) {
	socket, ok := c.agent.enter()
	if !ok {
		nc.Reject(ssh.Prohibited, "not asked for")
		return
	}
	defer c.agent.leave()
	local, err := net.Dial("unix", socket)
	if err != nil {
		nc.Reject(ssh.ConnectionFailed, "no agent")
		return
	}
	defer local.Close()
	ch, reqs, err := nc.Accept()
	if err != nil {
		return
	}
	c.wire.stock.other(1)
	defer c.wire.stock.other(-1)
	go ssh.DiscardRequests(reqs)
	defer ch.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		io.Copy(ch, local)
		ch.Close() // the agent has gone
	}()
	io.Copy(local, ch)
	local.Close()
	<-answered
}
