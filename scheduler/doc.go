// Package scheduler runs one program for each host of a run: how many at once,
// in which batches, how many may fail, how long each may take, and what
// becomes of those in flight when the user says stop.
//
// # Where to look
//
//   - plan.go: [Plan], what a caller asks for; [Run] takes it and gives a [Report].
//   - program.go: [Program] and [Remote], straight-line Go for one host, and the
//     coroutine that makes it so.
//   - op.go: [Op], [Completion] and [Poller], the seam to the world.
//   - scheduler.go: the loop itself.
//   - gate.go: what may stand between two batches; stragglers.go: who is slow.
//   - cancel.go: limits, the deadline, and cancelling in two steps.
//   - outcome.go: [Outcome], [Cause], [Error]; verdict.go: how a program's end
//     becomes one of them.
//   - fault.go: panics of code that is no program's; slow.go: programs that
//     hold the loop.
//   - batches.go and budget.go: [Batch] and [Budget], counts and percentages.
//   - event.go: [Event], everything that happens, with one canonical text.
//
// # The contract of the loop
//
// One goroutine, the one that calls [Run], owns all state. Programs are
// coroutines: one of them or the loop runs, never two at once. So there is no
// mutex here, no go statement and no channel, and a program may touch what
// other programs of the run touch without a lock, between two ops.
//
// The loop asks no clock: time is what Poll returns, and it stands still until
// the next Poll. A turn of the loop is always the same:
//
//  1. Poll, until the next timer is due.
//  2. Resume the programs whose ops completed, in the poller's order. An op
//     that completes in the turn in which its limit passes has completed.
//  3. Stops, if the user asked. (Results that came together with a stop count.)
//  4. Timers that are due, by time and then in the order in which they were
//     set. A timer set in this turn fires in the next one at the earliest.
//  5. Start hosts, as far as fanout, batch, gate, delay, budget and cancellation
//     allow. All failures known by now have been counted. A gate starts here
//     too, when its batch has ended, and runs alone.
//
// Nothing is decided by the order of a map, and ties break by sequence number:
// the same plan over a poller that answers the same gives the same events, to
// the byte of their text.
//
// A program must not block but in an op; [Remote.Do] is the way to run
// something that blocks. A resume that holds the loop for longer than
// [SlowResume] is reported with the host's name if the poller is a [Clock].
//
// Every op that was submitted is awaited before its program is resumed, also
// after it was cancelled, with one exception: a second stop unwinds all
// programs at once and leaves ops in flight behind. Whoever owns the writers of
// an [Exec] or what the function of a
// [Use] writes to then closes the poller first.
package scheduler
