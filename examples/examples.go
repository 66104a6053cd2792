// Package examples holds two platforms that run, with their blueprints.
package examples

import _ "embed" // the files below

// LowcodeBlueprint is the blueprint of the platform on SQLite and files.
//
//go:embed lowcode/blueprint.yaml
var LowcodeBlueprint string

// PostgresBlueprint is the blueprint of the platform on PostgreSQL.
//
//go:embed postgres-saas/blueprint.yaml
var PostgresBlueprint string

// PostgresPlatform is the SQL that sets up what its tenants share.
//
//go:embed postgres-saas/platform.sql
var PostgresPlatform string

// PocketBaseUsers is the migration after which users of a PocketBase can be suspended and
// belong to a tenant.
//
//go:embed lowcode-pocketbase/migrations/1_users.js
var PocketBaseUsers string
