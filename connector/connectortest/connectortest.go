// Package connectortest is the conformance suite that every connector passes,
// against the real system. A connector's own test is a Harness and one line:
//
//	func TestConformance(t *testing.T) { connectortest.Run(t, open) }
//
// One of a system in which tenants write code, in a place of their own, passes RunTraps
// too, with the traps that such a system knows.
//
// The suite judges by what can be seen from outside (World.Look and the
// functions of Case), not by the driver's word alone. Everything that a driver
// returns is searched for the secrets that it was given.
//
// Beyond the doc comments of package connector it asks for this:
//   - A resource of ours under another resource's name is Conflict, as a
//     stranger's is.
//   - Revoke and Quarantine of what is absent succeed and change nothing, Erase
//     of it is Done; Suspend, Resume, Unquarantine and Export of it are NotFound.
//   - Ensure of what is quarantined is Conflict or Blocked: no second copy.
//   - Each batch of an erasure is told of by a tally of the system's own, under the
//     run's name, that a crash between the delete and the answer can't lose.
//   - A data map's places that block say why and what to do.
//   - A capability that a type doesn't have is Invalid, and nothing is done.
//   - A name that can't be used is Invalid, never shortened or changed.
package connectortest

import (
	"crypto/rand"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Harness opens a fresh system that no other test sees, on a real server, and
// takes it down with t.Cleanup. Each call gives another system, with another
// fingerprint.
type Harness func(t *testing.T) *World

// World is one system, with hands on it that don't go through the connector.
type World struct {
	Info    connector.Info
	Options map[string]string
	Secrets map[string]tenure.Secret // none may appear in anything returned
	Safe    *Safe                    // for a connector with types whose credential the system makes
	Cases   []Case                   // one for each resource type, at least
	Probes  []ProbeCase              // one for each probe kind, at least

	// Dear says that each call is dear, as where it starts programs: the checks of a type are
	// made through the System alone, which calls the driver. With TENURE_EVERY in the
	// environment they are made on the driver, too.
	Dear bool

	// Untried lists the probe kinds that can't be made to fail from outside; the
	// connector's own tests cover them.
	Untried []string

	// Look writes down all that is in the system, seen from outside: what
	// differs must give another text, what is the same the same text.
	Look func(t testing.TB) string

	// LoseSentinel removes the sentinel, and nothing else.
	LoseSentinel func(t testing.TB)

	// Hide takes a right away, so that a pass can't be complete. Nil where the
	// system knows no such thing.
	Hide func(t testing.TB)

	// Outage makes the system unreachable until restore. Nil where the test
	// can't.
	Outage func(t testing.TB) (restore func())

	// SignIn opens a session with a login of an elevation, and gives what uses it:
	// an error says that it has ended. ElevatedType is the resource type that such
	// a login is opened for. Required of a connector.Elevator.
	SignIn       func(t testing.TB, login string, secret tenure.Secret, r connector.Ref) (use func() error, err error)
	ElevatedType string

	serial atomic.Int64
}

// Case is one resource type's samples and outside hands. New, and one of
// Foreign and Remark, are required; what is nil skips the checks that need it.
type Case struct {
	Type string

	// New gives the n-th sample: Name, Attributes, Classes (at least two for a
	// type that holds data). Another n gives another name. It may set up what
	// the sample stands on, from outside. The suite fills in the ids and the
	// credential.
	New func(t testing.TB, n int) connector.Desired

	// Rename gives the same sample under another name; nil sets Name alone.
	Rename func(d connector.Desired, name string) connector.Desired

	// Unshared is for a type whose names tell nothing apart: things of one name are several
	// things, and who made one alone can see it.
	Unshared bool

	// FixedNames is for a type whose names aren't free; its names aren't tried.
	FixedNames bool

	// Changed gives other legal attributes for the same thing.
	Changed func(d connector.Desired) connector.Desired

	// Invalid lists attributes that Normalise must refuse.
	Invalid []map[string]any

	// Tamper makes the live thing differ from its desired state.
	Tamper func(t testing.TB, r connector.Ref)

	// Foreign creates an unmarked thing under that name. Unlisted says that
	// Discover can't tell such a thing from the platform's own.
	Foreign  func(t testing.TB, r connector.Ref)
	Unlisted bool

	// Remark replaces the owner mark that the thing bears.
	Remark func(t testing.TB, r connector.Ref, mark string)

	// Unmark takes the owner mark away, and nothing else. Hollow says that a thing without one
	// is seen only while it holds something.
	Unmark func(t testing.TB, r connector.Ref)
	Hollow bool

	// Untold are the attributes, as Normalise gives them, that can't be told of what bears
	// no mark, each with the reason. What desires one of them can't be adopted.
	Untold map[string]string

	// Exists says whether the thing is there under its own name.
	Exists func(t testing.TB, r connector.Ref) bool

	// Works tries, from outside and as the tenant, whether access works.
	Works func(t testing.TB, d connector.Desired) bool

	// Without lists capabilities that a type of an access layer (suspend,
	// revoke) or one that holds data (export, erase, tally, map) doesn't have.
	Without []string

	// Fill puts n rows or objects of a class into the thing, Count counts them.
	Fill  func(t testing.TB, r connector.Ref, class string, n int)
	Count func(t testing.TB, r connector.Ref, class string) int

	// Stick keeps the class's rows from going, as a trigger does that swallows the
	// delete, and names what does it. Nil where nothing in the system can.
	Stick func(t testing.TB, r connector.Ref, class string) (name string, undo func())

	// Late puts n rows of a class where the thing was, once it is deleted, as an
	// application would that doesn't know. Nil where nothing can be put there.
	Late func(t testing.TB, r connector.Ref, class string, n int)

	// Exported counts the rows or objects in an export.
	Exported func(t testing.TB, data []byte) int

	// AddCopy makes a copy of the thing that expires at the given time or, where
	// the system says when, returns the time at which it does.
	AddCopy func(t testing.TB, r connector.Ref, expires time.Time) time.Time
}

// ProbeCase is one probe that passes, and a misconfiguration that makes it fail.
type ProbeCase struct {
	Kind string
	Name string // tells two cases of a kind apart
	// Check sets up what the probe needs, through the driver where it wants,
	// and says what to probe. The suite has planted the system.
	Check func(t testing.TB, d connector.Driver) connector.Check
	// Misconfigure makes the probe fail, from outside.
	Misconfigure func(t testing.TB)
}

// Run checks a connector. The harness is called once for each resource type
// and a few times more.
func Run(t *testing.T, open Harness) {
	t.Parallel()
	first := open(t)
	t.Run("declarations", func(t *testing.T) {
		Declarations(t, first.Info)
		covered(t, first)
	})
	for i, c := range first.Cases {
		t.Run(c.Type, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			modes := []string{"driver", "system"}
			if w.Dear && os.Getenv("TENURE_EVERY") == "" {
				modes = modes[1:]
			}
			for _, mode := range modes {
				t.Run(mode, func(t *testing.T) { runCase(t, w, w.Cases[i], mode) })
			}
		})
	}
	t.Run("trust", func(t *testing.T) { t.Parallel(); runTrust(t, open) })
	t.Run("probes", func(t *testing.T) { t.Parallel(); runProbes(t, open) })
	t.Run("elevation", func(t *testing.T) { t.Parallel(); runElevation(t, open) })
}

func runCase(t *testing.T, w *World, c Case, mode string) {
	for _, check := range []struct {
		name string
		run  func(*actor)
	}{
		{"normalise", checkNormalise},
		{"ensure", checkEnsure},
		{"ensure changed", checkChanged},
		{"tamper", checkTamper},
		{"observe in bulk", checkObserve},
		{"observe stops", checkObserveStops},
		{"delete", checkDelete},
		{"prefix neighbour", checkNeighbour},
		{"discover", checkDiscover},
		{"accounts", checkAccounts},
		{"unmarked", checkUnmarked},
		{"another installation", checkInstallations},
		{"another resource", checkAnotherResource},
		{"marks", checkMarks},
		{"lost mark", checkLost},
		{"standing", checkStanding},
		{"names", checkNames},
		{"twin names", checkTwins},
		{"cancelled", checkCancelled},
		{"at once", checkAtOnce},
		{"suspend", checkSuspend},
		{"revoke", checkRevoke},
		{"quarantine", checkQuarantine},
		{"export", checkExport},
		{"erase", checkErase},
		{"delete with rows", checkRemains},
		{"erase stuck", checkStuck},
		{"data map", checkDataMap},
		{"late rows", checkLate},
		{"remnants", checkRemnants},
		{"expire", checkExpire},
	} {
		t.Run(check.name, func(t *testing.T) {
			check.run(newActor(t, w, c, mode, newMarker(w)))
		})
	}
}

// newMarker is an installation's own marker for the world's system.
func newMarker(*World) connector.Marker {
	// A key of plain characters can be found again in what a driver says.
	key := rand.Text() + rand.Text()
	return connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Now()), System: systemName, Key: []byte(key)}
}

const systemName = "under-test"
