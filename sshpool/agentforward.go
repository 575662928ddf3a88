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
	socket   string   // of an agent of this machine
	loan     *KeyLoan // or one of this process
	users    int      // commands that lend it
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

// lends says that the command lends its host an agent.
func (cmd *Command) lends() bool { return cmd.ForwardAgent != "" || cmd.Lend != nil }

// lend gives the host the use of the command's agent until takeBack.
func (a *lentAgent) lend(cmd *Command) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cmd.ForwardAgent != "" && cmd.Lend != nil || a.users > 0 && (a.socket != cmd.ForwardAgent || a.loan != cmd.Lend) {
		return errOtherAgent
	}
	a.socket, a.loan = cmd.ForwardAgent, cmd.Lend
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

// enter gives the agent to one more channel, if there is one to give.
func (a *lentAgent) enter() (socket string, loan *KeyLoan, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users == 0 || a.channels >= maxAgentChannels {
		return "", nil, false
	}
	a.channels++
	return a.socket, a.loan, true
}

func (a *lentAgent) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.channels--
}

// agentChannel connects a channel that the host opened to the agent.
func (c *Conn) agentChannel(nc ssh.NewChannel) {
	socket, loan, ok := c.agent.enter()
	if !ok {
		nc.Reject(ssh.Prohibited, "not asked for")
		return
	}
	defer c.agent.leave()
	if loan != nil {
		c.agentTalk(nc, loan.serve)
		return
	}
	local, err := net.Dial("unix", socket)
	if err != nil {
		nc.Reject(ssh.ConnectionFailed, "no agent")
		return
	}
	defer local.Close()
	c.agentTalk(nc, func(ch io.ReadWriteCloser) {
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			io.Copy(ch, local)
			ch.Close() // the agent has gone
		}()
		io.Copy(local, ch)
		local.Close()
		<-answered
	})
}

// agentTalk has a channel that the host opened talk to an agent.
func (c *Conn) agentTalk(nc ssh.NewChannel, serve func(io.ReadWriteCloser)) {
	ch, reqs, err := nc.Accept()
	if err != nil {
		return
	}
	c.wire.stock.other(1)
	defer c.wire.stock.other(-1)
	go ssh.DiscardRequests(reqs)
	defer ch.Close()
	serve(ch)
}
