package event_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
)

// The vectors that senders publish. Those whose body isn't what the scheme has are verified and then
// Invalid; a signature that isn't right would be Unauthorized.
func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	seed, err := base64.StdEncoding.DecodeString("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
	if err != nil {
		t.Fatal(err)
	}
	whpk := "whpk_" + base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	hubSpot := event.Source{Name: "s", Scheme: "hubspot", Secrets: secrets("yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"), URL: "https://www.example.com/webhook_uri"}
	const hubSpotBody = "{'example_field':'example_value'}"
	for _, v := range []struct {
		name   string
		source event.Source
		r      event.Request
		at     time.Time
		want   string // the event's id; "" if the body isn't an event
	}{
		{ // github.com/stripe/stripe-dotnet, src/StripeTests: EventUtilityTest.cs and Resources/event_test_signature.json
			"stripe", event.Source{Name: "s", Scheme: "stripe", Secrets: secrets("webhook_secret")},
			post(stripeVector, "Stripe-Signature", "t=1533204620,v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7,v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"),
			time.Unix(1533204620+100, 0), "evt_123",
		},
		{ // github.com/HubSpot/hubspot-api-python, tests/spec/utils/test_signature.py
			"hubspot, Python", hubSpot,
			post(hubSpotBody, "X-HubSpot-Request-Timestamp", "1693657560000", "X-HubSpot-Signature-v3", "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="),
			time.UnixMilli(1693657560000), "",
		},
		{ // github.com/HubSpot/hubspot-api-ruby, spec/helpers/signature_spec.rb
			"hubspot, Ruby", hubSpot,
			post(hubSpotBody, "X-HubSpot-Request-Timestamp", "1700000300000", "X-HubSpot-Signature-v3", "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
			time.UnixMilli(1700000300000), "",
		},
		{ // github.com/standard-webhooks/standard-webhooks, libraries/go/webhook_test.go, TestWebhookSign
			"standard", event.Source{Name: "s", Scheme: "standard", Secrets: secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")},
			post(`{"test": 2432232314}`, "webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
			time.Unix(1614265330, 0), "msg_p5jXN8AQM9LWM0D4loKWxJek",
		},
		{ // the same, libraries/go/webhook_asymmetric_test.go, TestAsymmetricWebhookSign
			"standard, Ed25519", event.Source{Name: "s", Scheme: "standard", Secrets: secrets(whpk)},
			post(`{"test": 2432232314}`, "webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="),
			time.Unix(1614265330, 0), "msg_p5jXN8AQM9LWM0D4loKWxJek",
		},
		{ // docs.github.com, "Validating webhook deliveries", section "Testing the webhook payload validation"
			"github", event.Source{Name: "s", Scheme: "hmac", Secrets: secrets("It's a Secret to Everybody"), Header: "X-Hub-Signature-256", Prefix: "sha256="},
			post("Hello, World!", "X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
			now, "",
		},
		{ // docs.slack.dev, "Verifying requests from Slack", section "A recipe for security"
			"slack", event.Source{Name: "s", Scheme: "hmac", Secrets: secrets("8f742231b10e8888abcd99yyyzzz85a5"), Header: "X-Slack-Signature", Prefix: "v0=", TimestampHeader: "X-Slack-Request-Timestamp", Signed: "v0:{timestamp}:{body}", Fields: event.Fields{ID: "trigger_id", Type: "command", Subject: "channel_id"}},
			post("token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
				"Content-Type", "application/x-www-form-urlencoded", "X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
			time.Unix(1531420618, 0), "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
		},
	} {
		events, err := v.source.Receive(v.r, v.at)
		switch {
		case v.want == "" && tenure.CodeOf(err) != tenure.Invalid:
			t.Errorf("%s: %v; want it verified, and Invalid", v.name, err)
		case v.want != "" && (err != nil || len(events) != 1 || events[0].ID != v.want):
			t.Errorf("%s: %+v, %v; want %s", v.name, events, err, v.want)
		}
		changed := v.r
		changed.Body = append([]byte(" "), v.r.Body...)
		if _, err := v.source.Receive(changed, v.at); tenure.CodeOf(err) != tenure.Unauthorized {
			t.Errorf("%s with another body: %v", v.name, err)
		}
	}
}

const stripeVector = `{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
`
