package installation_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tenurehq/tenure"
)

// TestSettingsThatSayNothing: a number, a length of time, a list or a text that is zero,
// negative, blank or huge is refused in each field of the files, and never means what
// leaving it out does.
func TestSettingsThatSayNothing(t *testing.T) {
	t.Parallel()
	dir := initialized(t)
	const rule = "approvals: [{name: leaving, when: {kinds: [offboard]}, count: 2, "
	const system = "systems: {files: {connector: filesystem, options: {root: ./files}, "
	for file, texts := range map[string][]string{
		"tenure.yaml": {
			"budget: {blueprint: 0}", "budget: {blueprint: -1}", "sessions: {idle: 0s}", "sessions: {idle: -1h}", "sessions: {idle: ''}", "sessions: {for: ''}",
			"sought: -P1D", "sought: ''", "sought: P99999Y",
			"elevation: {longest: PT0S}", "elevation: {longest: ''}", "elevation: {longest: P99999Y}",
			"name: ' '", "name: ''", "url: ''", "url: ' '", "policies: ' '", "policies: ''", "witness: ' '", "witness: ''", "keys: ''", "store: ''",
			"approvals: [{name: '', when: {kinds: [offboard]}, count: 2}]", "approvals: [{name: a, when: {kinds: ['']}, count: 2}]", "approvals: [{name: a, when: {tiers: ['']}, count: 2}]", "approvals: [{name: a, when: {tiers: []}, count: 2}]",
			"approvals: [{name: a, when: {kinds: [offboard]}, count: 0}]", "approvals: [{name: a, when: {kinds: [offboard]}, count: -1}]", "approvals: [{name: a, when: {kinds: [offboard]}, count: 1000000}]",
			rule + "expires: ''}]", rule + "expires: PT0S}]", rule + "remind: ''}]", rule + "remind: PT0S}]", rule + "escalate: {after: '', role: approver}}]", rule + "escalate: {after: PT0S, role: approver}}]", rule + "escalate: {after: P1D, role: ''}}]",
			rule + "from: [{role: '', count: 1}]}]", rule + "from: [{role: legal, count: 0}]}]", rule + "from: [{role: legal, count: -1}]}]",
			"notify: {webhook: {url: '', secret: env:HOME}}", "notify: {webhook: {url: https://chat.example/hook, secret: ''}}",
		},
		"systems.yaml": {
			system + "limit: -1}}", system + "limit: 0}}", system + "prices: {bucket: -5}, currency: EUR}}", system + "prices: {bucket: 5}, currency: ''}}", system + "region: ' '}}", system + "currency: ''}}", system + "region: ''}}",
			"systems: {'': {connector: filesystem, options: {root: ./files}}}", "systems: {files: {connector: '', options: {root: ./files}}}", "systems: {files: {connector: filesystem, options: {root: ''}}}",
		},
	} {
		path := filepath.Join(dir, file)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if err := reopened(t, dir, file, text); tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("%s: %s: %v", file, text, err)
			}
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
