import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { PostgresSink, type PostgresSinkOptions } from "../../src/PostgresSink.ts"
import { writeTo } from "../writing.ts"

describe("the options of PostgresSink", () => {
  const url = Redacted.make("postgres://u:p@h/d")
  const bad: ReadonlyArray<readonly [string, PostgresSinkOptions]> = [
    ["table", { host: "h", table: "samples; DROP TABLE samples" }],
    ["table", { host: "h", table: "" }],
    ["schema", { host: "h", schema: "a.b" }],

    ["host", { url, host: "h" }],
    ["database", { url, database: "other" }],
    ["url", { url: Redacted.make("mysql://u:p@h/d") }],
    ["url", { url: Redacted.make("postgres://u:%zz@h/d") }],
    ["sslmode", { url: Redacted.make("postgres://u:p@h/d?sslmode=perhaps") }],
    ["port", { url: Redacted.make("postgres://u:p@h/d?port=x") }],
    ["connect_timeout", { url: Redacted.make("postgres://u:p@h/d?connect_timeout=soon") }],
    ["host", { host: "a,b" }],
    ["url", { url: Redacted.make("postgres://u:p@h/d?target=x") }],
    ["url", { url: Redacted.make("postgres://u:p@h/d#f") }],
    ["port", { host: "h", port: 70_000 }],
    ["minConnections", { host: "h", minConnections: -1 }],
    ["maxConnections", { host: "h", minConnections: 3, maxConnections: 2 }],
    ["statementTimeout", { host: "h", statementTimeout: "-1 second" }],
    ["commandTimeout", { host: "h", commandTimeout: 0 }],
    ["connectTimeout", { host: "h", connectTimeout: -5 }],
    ["closeTimeout", { host: "h", closeTimeout: "soon" as "1 second" }]
  ]
  it.live.each(bad)("refuse %s of %o before the sink connects", ([option, options]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(writeTo(PostgresSink.layer(options)))
      assert.strictEqual((yield* Effect.flip(PostgresSink.check(options))).message, error.message)
      assert.strictEqual(error._tag, "InvalidOptionError")
      assert.strictEqual("option" in error ? error.option : "", option)
    }))
})
