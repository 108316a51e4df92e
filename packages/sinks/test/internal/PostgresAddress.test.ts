import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as os from "node:os"
import { addressOf } from "../../src/internal/PostgresAddress.ts"

const fromUrl = (url: string) =>
  Effect.map(addressOf({ url: Redacted.make(url) }), ({ password, ...address }) => ({
    ...address,
    password: password === undefined ? undefined : Redacted.value(password)
  }))

it.effect("reads all parts of a URL, percent-encoded or not", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* fromUrl("postgres://me:s%40c%2Fret@db.lab:5433/run%20data?sslmode=verify-full"), {
      host: "db.lab",
      port: 5433,
      user: "me",
      password: "s@c/ret",
      database: "run data",
      ssl: { rejectUnauthorized: true }
    })
  }))

it.effect("has defaults for the parts that are missing", () =>
  Effect.gen(function*() {
    const { username } = os.userInfo()
    const defaults = { port: 5432, password: undefined, ssl: false }
    assert.deepInclude(yield* fromUrl("postgresql://me@[::1]"), {
      ...defaults,
      host: "::1",
      user: "me",
      database: "me"
    })
    assert.deepInclude(yield* fromUrl("postgres:///lab"), {
      ...defaults,
      host: "localhost",
      user: username,
      database: "lab"
    })
    assert.deepInclude(yield* addressOf({ host: "db" }), { ...defaults, user: username, database: username })
  }))

it.effect("takes the password from the option if the URL has none", () =>
  Effect.gen(function*() {
    const password = Redacted.make("from the option")
    const passwordFor = (url: string) => addressOf({ url: Redacted.make(url), password })
    assert.strictEqual((yield* passwordFor("postgres://me@db")).password, password)
    assert.strictEqual(Redacted.value((yield* passwordFor("postgres://me:own@db")).password!), "own")
  }))

it.effect("never shows the URL that it refuses", () =>
  Effect.gen(function*() {
    for (const url of ["postgres://me:s3cret@db#x", "mysql://me:s3cret@db", "postgres://me:%s3cret@db", "s3cret"]) {
      const error = yield* Effect.flip(fromUrl(url))
      assert.strictEqual(error.option, "url")
      assert.notInclude(error.message, "s3cret")
    }
  }))
