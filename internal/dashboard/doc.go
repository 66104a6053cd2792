// Package dashboard draws Tenure's pages: it turns view models into HTML and
// nothing else. It asks no store, knows no session and decides no permission;
// who wires it fills one struct for each page and says who looks at it.
//
// Every page works without script. What the embedded script adds (live pages,
// relative times, keys, the check of an inclusion proof) is comfort. Pages load
// nothing from elsewhere and hold no inline script or style, so that they stand
// under
//
//	default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;
//	connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'
package dashboard
