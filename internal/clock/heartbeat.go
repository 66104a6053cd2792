package clock

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/tenurehq/tenure"
)

// beat is what the heartbeat file says.
type beat struct {
	Format int       `json:"format"`
	At     time.Time `json:"at,omitzero"`     // up to then the time was right
	Doubt  *Doubt    `json:"doubt,omitempty"` // since then it has been in doubt
}

const (
	beatFormat = 1
	maxBeat    = 4 << 10
)

func readBeat(path string) (beat, error) {
	var b beat
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, tenure.Errorf(tenure.NotFound, "there is no heartbeat file")
	}
	if err != nil {
		return b, tenure.Errorf(tenure.Unavailable, "the heartbeat file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxBeat {
		return b, tenure.Errorf(tenure.Invalid, "the heartbeat file is none")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return b, tenure.Errorf(tenure.Unavailable, "the heartbeat file: %w", err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, tenure.Errorf(tenure.Invalid, "the heartbeat file: %w", err)
	}
	if b.Format != beatFormat || b.At.IsZero() && b.Doubt == nil || b.Doubt != nil && (b.Doubt.Kind == "" || b.Doubt.Is.IsZero()) {
		return b, tenure.Errorf(tenure.Invalid, "the heartbeat file is of format %d, or says no time", b.Format)
	}
	return b, nil
}

// writeBeat puts the file in place in one step.
func writeBeat(path string, b beat) error {
	b.Format, b.At = beatFormat, b.At.UTC()
	text, err := json.Marshal(b)
	if err != nil {
		return tenure.Errorf(tenure.Internal, "the heartbeat file: %w", err)
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(append(text, '\n'))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "write the heartbeat file: %w", err).Retryable().WithHint("without it the next start asks whether the time is right")
	}
	return nil
}
