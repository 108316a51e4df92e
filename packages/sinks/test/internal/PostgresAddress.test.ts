import { assert, it } from "@effect/vitest"
import { Cause, Effect, Redacted, Schema } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import { addressOf } from "../../src/internal/PostgresAddress.ts"
import type { Encryptions } from "../../src/internal/PostgresTls.ts"
import type { PostgresSinkOptions } from "../../src/PostgresSink.ts"
import { environment } from "../environment.ts"
import { tempFile } from "../tempFile.ts"

const found = (options: PostgresSinkOptions) =>
  Effect.map(addressOf(options), ({ password, ...address }) => ({
    ...address,
    password: password === undefined ? undefined : Redacted.value(password)
  }))

const fromUrl = (url: string) => found({ url: Redacted.make(url) })

const UNDERSTOOD =
  "understood are host, port, user, password, dbname, application_name, options, connect_timeout, sslmode, "
  + "sslrootcert, sslcert, sslkey"

it.effect("reads all parts of a URL, percent-encoded or not", () =>
  Effect.gen(function*() {
    yield* environment({})
    assert.deepStrictEqual(
      yield* fromUrl(
        "postgres://me:s%40c%2Fret@db.lab:5433/run%20data%231?application_name=oven+1&options=-c%20search_path%3Dlab"
          + "&connect_timeout=7&sslmode=disable"
      ),
      {
        host: "db.lab",
        port: 5433,
        user: "me",
        password: "s@c/ret",
        database: "run data#1",
        encryptions: [false],
        applicationName: "oven+1",
        startupOptions: "-c search_path=lab",
        connectSeconds: 7
      }
    )
  }))

it.effect.each(
  [
    ["postgres://%2Fvar%2Frun%2Flab/data", { host: "/var/run/lab", port: 5432, database: "data" }],
    ["postgres://me@/data?host=/var/run/lab&port=5433", { host: "/var/run/lab", port: 5433, user: "me" }],
    ["postgres:///data?host=db.lab", { host: "db.lab", database: "data" }],
    ["postgres://db.lab?user=me&password=p%2Bw&dbname=data", { user: "me", password: "p+w", database: "data" }],
    ["postgresql://me@[::1]", { host: "::1", user: "me", database: "me" }],
    ["POSTGRES://me:100%25@db.lab/a b", { user: "me", password: "100%", database: "a b" }]
  ] as const
)("reads %s as %o", ([url, parts]) =>
  Effect.gen(function*() {
    yield* environment({})
    assert.deepInclude(yield* fromUrl(url), parts)
  }))

const text = Schema.NonEmptyString.check(Schema.makeFilter((value: string) => value.isWellFormed()))

it.effect.prop("reads back any user, password, database and options", {
  user: text,
  password: text,
  database: text,
  options: text
}, ({ database, options, password, user }) =>
  Effect.gen(function*() {
    yield* environment({ PGSSLMODE: "disable" })
    const [u, p, d, o] = [user, password, database, options].map(encodeURIComponent)
    const parts = { user, password, database, startupOptions: options, host: "db.lab" }
    assert.deepInclude(yield* fromUrl(`postgres://${u}:${p}@db.lab/${d}?options=${o}`), parts)
    assert.deepInclude(
      yield* fromUrl(`postgres://db.lab?dbname=${d}&user=${u}&password=${p}&options=${o}`),
      parts
    )
  }))

it.effect.prop(
  "never shows a password, encoded or not, in what it refuses",
  { rest: text },
  ({ rest }) =>
    Effect.gen(function*() {
      yield* environment({ PGSSLMODE: "disable" })
      for (const secret of ["s3cret", `s3cret${rest}s3cret`]) {
        const exit = yield* Effect.exit(fromUrl(`postgres://me:${secret}@db.lab/lab?x=y`))
        if (exit._tag === "Failure") assert.notInclude(Cause.pretty(exit.cause), "s3cret")
      }
    })
)

it.effect("has defaults for the parts that are missing", () =>
  Effect.gen(function*() {
    yield* environment({ HOME: yield* folder })
    const { username } = os.userInfo()
    const defaults = {
      host: "localhost",
      port: 5432,
      user: username,
      password: undefined,
      encryptions: [{ cert: undefined, key: undefined, rejectUnauthorized: false }, false] as Encryptions,
      applicationName: "sampleline",
      startupOptions: undefined,
      connectSeconds: undefined
    }
    assert.deepStrictEqual(yield* fromUrl("postgres:///lab"), { ...defaults, database: "lab" })
    assert.deepStrictEqual(yield* found({}), { ...defaults, database: username })
    assert.deepStrictEqual(yield* found({ host: "db" }), { ...defaults, host: "db", database: username })
  }))

it.effect("takes options first, then the URL, the service file, the environment and the password file", () =>
  Effect.gen(function*() {
    const home = yield* folder
    fs.writeFileSync(
      `${home}/.pg_service.conf`,
      "# of the lab\n[other]\nhost=other\n\n[lab]\nhost=service\nport=5434\n  user=service \nuser=again\nsslmode=disable\n[third]\nhost=third\n"
    )
    fs.writeFileSync(`${home}/.pgpass`, "service:5434:*:service:from\\:the file\n*:*:*:*:another\n", { mode: 0o600 })
    yield* environment({
      HOME: home,
      PGHOST: "environment",
      PGPORT: "5435",
      PGUSER: "environment",
      PGDATABASE: "environment"
    })
    assert.deepInclude(yield* found({}), {
      host: "environment",
      port: 5435,
      user: "environment",
      database: "environment",
      password: "another"
    })
    process.env["PGSERVICE"] = "lab"
    assert.deepInclude(yield* fromUrl("postgres:///url"), {
      host: "service",
      port: 5434,
      user: "service",
      database: "url",
      password: "from:the file",
      encryptions: [false]
    })
    assert.deepInclude(yield* fromUrl("postgres://url:own@url:5436?service=third"), {
      host: "url",
      port: 5436,
      user: "url",
      database: "environment",
      password: "own"
    })
    process.env["PGPASSWORD"] = "from the environment"
    assert.deepInclude(yield* found({ host: "option", port: 5437, database: "option" }), {
      host: "option",
      port: 5437,
      user: "service",
      database: "option",
      password: "from the environment"
    })
  }))

it.effect("reads PGAPPNAME, PGOPTIONS, PGCONNECT_TIMEOUT, PGSSLMODE, PGSERVICEFILE, PGSYSCONFDIR and PGPASSFILE", () =>
  Effect.gen(function*() {
    const home = yield* folder
    fs.writeFileSync(`${home}/mine`, "[mine]\nhost=mine\n")
    fs.writeFileSync(`${home}/pg_service.conf`, "[system]\nhost=system\n")
    fs.writeFileSync(`${home}/passwords`, "mine:*:*:*:secret\n", { mode: 0o600 })
    yield* environment({
      HOME: home,
      PGAPPNAME: "oven",
      PGOPTIONS: "-c a=b",
      PGCONNECT_TIMEOUT: "3",
      PGSSLMODE: "disable",
      PGSERVICE: "mine",
      PGSERVICEFILE: `${home}/mine`,
      PGSYSCONFDIR: home,
      PGPASSFILE: `${home}/passwords`
    })
    assert.deepInclude(yield* found({}), {
      host: "mine",
      password: "secret",
      applicationName: "oven",
      startupOptions: "-c a=b",
      connectSeconds: 3,
      encryptions: [false]
    })
    assert.deepInclude(yield* fromUrl("postgres://?service=system"), { host: "system", password: undefined })
  }))

it.effect("reads the password file, but no service file, by an empty variable", () =>
  Effect.gen(function*() {
    const home = yield* folder
    fs.writeFileSync(`${home}/.pgpass`, "*:*:*:*:from the file\n", { mode: 0o600 })
    yield* environment({ HOME: home, PGPASSWORD: "", PGPASSFILE: "", PGSERVICEFILE: "", PGSYSCONFDIR: "" })
    assert.strictEqual((yield* found({ host: "db" })).password, "from the file")
    const { message } = yield* Effect.flip(fromUrl("postgres://?service=lab"))
    assert.strictEqual(message, `service is "lab": expected a section [lab] in ${home}/.pg_service.conf`)
  }))

it.effect("refuses a service that no file has, and names the line that is no setting without showing it", () =>
  Effect.gen(function*() {
    const home = yield* folder
    const file = `${home}/.pg_service.conf`
    fs.writeFileSync(
      file,
      "# of the lab\n[odd]\n\nhost=db\nkrbsrvname=s3cret\n[spaced]\npassword s3cret\n[bare]\ns3cret\n[padded]\ns3cret==\n"
    )
    yield* environment({ HOME: home })
    const refusal = (service: string) =>
      Effect.map(Effect.flip(fromUrl(`postgres://?service=${service}`)), (error) => error.message)
    assert.strictEqual(
      yield* refusal("none"),
      `service is "none": expected a section [none] in ${home}/.pg_service.conf`
    )
    for (const [service, line] of [["odd", 5], ["spaced", 7], ["bare", 9], ["padded", 11]] as const) {
      assert.strictEqual(
        yield* refusal(service),
        `service is "${service}": expected line ${line} of ${file} to be NAME=VALUE; ${UNDERSTOOD}`
      )
    }
  }))

it.effect("never encrypts a Unix socket", () =>
  Effect.gen(function*() {
    yield* environment({})
    assert.deepStrictEqual((yield* fromUrl("postgres://%2Ftmp/lab?sslmode=verify-full")).encryptions, [false])
  }))

it.effect("takes the password from the option if the URL has none", () =>
  Effect.gen(function*() {
    yield* environment({ PGPASSWORD: "from the environment" })
    const passwordFor = (url: string) =>
      Effect.map(found({ url: Redacted.make(url), password: Redacted.make("from the option") }), ({ password }) =>
        password)
    assert.strictEqual(yield* passwordFor("postgres://me@db"), "from the option")
    assert.strictEqual(yield* passwordFor("postgres://me:own@db"), "own")
  }))

it.effect.each(
  [
    ["postgres://h:99999/db", "a port number from 1 to 65535"],
    ["postgres://me:s3cret@[::1]:0", "a port number from 1 to 65535"],
    ["postgres://h:db", "a port number from 1 to 65535"],
    ["postgres://a:1,b:1/db", "one host"],
    ["postgres://me:s3cret@a,b", "one host"],
    ["postgresql:", "postgres://user:password@host:5432/database"],
    ["mysql://h/db", "postgres://user:password@host:5432/database"],
    [
      "postgres://me:%s3cret@db",
      "postgres://user:password@host:5432/database, with special characters percent-encoded"
    ],
    [
      "postgres://h?s3cret",
      `NAME=VALUE for its parameter 1, with special characters percent-encoded; ${UNDERSTOOD}, service`
    ],
    [
      "postgres://h?password=s3&cret=x",
      `NAME=VALUE for its parameter 2, with special characters percent-encoded; ${UNDERSTOOD}, service`
    ]
  ] as const
)("says what is wrong with %s: %s", ([url, expected]) =>
  Effect.gen(function*() {
    yield* environment({})
    const error = yield* Effect.flip(fromUrl(url))
    assert.strictEqual(error.message, `url is not usable: expected ${expected}`)
  }))

it.effect("never shows the URL that it refuses", () =>
  Effect.gen(function*() {
    const urls = [
      "postgres://me:s3cret@db#x",
      "mysql://me:s3cret@db",
      "postgres://me:%s3cret@db",
      "postgres://me:%ff@s3cret",
      "postgres://me:12/s3cret@db/lab",
      "postgres://me:12?s3cret@db/lab",
      "postgres://me:12?s3cret=@db/lab",
      "postgres://me:s3cret",
      "postgres://me:12,s3cret",
      "postgres://me@db?password=12&s3cret",
      "host=db password=s3cret",
      "s3cret"
    ]
    for (const url of urls) {
      const error = yield* Effect.flip(fromUrl(url))
      assert.strictEqual(error.option, "url", url)
      assert.notInclude(error.message, "s3cret")
    }
  }))

const folder = Effect.map(tempFile("home"), (path) => {
  fs.mkdirSync(path)
  return path
})
