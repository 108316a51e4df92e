import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as fs from "node:fs"
import { encryptionsOf } from "../../src/internal/PostgresTls.ts"
import { PostgresSink } from "../../src/PostgresSink.ts"
import { CERTIFICATE, KEY } from "../certificate.ts"
import { environment } from "../environment.ts"
import { PostgresServer } from "../postgres.ts"
import { samplesFrom } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { nonEmpty } from "../writing.ts"

/** The home of a user; with `root` the server's certificate is in it. */
const home = (root: boolean) =>
  Effect.map(tempFile("home"), (folder) => {
    fs.mkdirSync(`${folder}/.postgresql`, { recursive: true })
    fs.writeFileSync(`${folder}/server.crt`, CERTIFICATE)
    fs.writeFileSync(`${folder}/server.key`, KEY)
    if (root) fs.writeFileSync(`${folder}/.postgresql/root.crt`, CERTIFICATE)
    return folder
  })

/** Records over a connection with these parameters of a URL. Gives what the server says of the connections. */
const recorded = Effect.fnUntraced(function*(
  parameters: string,
  { host = "localhost", root = false, useCopy = true, user = "owner" } = {}
) {
  const server = yield* PostgresServer
  const database = yield* server.sharedDatabase
  const folder = yield* home(root)
  yield* environment({ HOME: folder, PGPASSWORD: Redacted.value(server.password) })
  const rest = parameters.replaceAll("HOME", folder)
  const url = Redacted.make(`postgres://${user}@${host}:${server.address.port}/${database}?${rest}`)
  return yield* Effect.gen(function*() {
    const sink = yield* PostgresSink
    yield* sink.write(nonEmpty(samplesFrom(0, 1)))
    const connections = yield* server.query(
      database,
      "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sampleline'"
    )
    return connections.map(({ ssl }) => ssl ? "encrypted" : "plain").join()
  }).pipe(
    Effect.provide(PostgresSink.layer({ url, useCopy, createTable: true })),
    Effect.catch((error) => Effect.succeed(`${error._tag}: ${error.message}`)),
    Effect.scoped
  )
})

const PATHS = [true, false]

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("a server without TLS", (it) => {
  it.effect.each(
    PATHS.flatMap((useCopy) => [["", useCopy], ["sslmode=allow", useCopy], ["sslmode=prefer", useCopy]] as const)
  )(
    "is recorded to in plain text with %j, useCopy %j",
    ([parameters, useCopy]) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* recorded(parameters, { useCopy }), "plain")
      })
  )

  it.effect.each(["sslmode=require", "sslmode=verify-full", "sslmode=verify-ca&sslrootcert=HOME/server.crt"])(
    "is refused with %s, with what to do",
    (parameters) =>
      Effect.gen(function*() {
        assert.match(
          yield* recorded(parameters),
          /^SinkOpenError: .*does not support TLS; use sslmode=disable, or turn TLS on at the server/
        )
      })
  )
})

const TLS = PostgresServer.layerWith({
  tls: true,
  access: [
    "host all owner all scram-sha-256",
    "hostssl all secret all scram-sha-256",
    "hostnossl all open all scram-sha-256",
    "hostssl all localhost all cert"
  ]
})

it.layer(TLS, { excludeTestServices: true, timeout: "60 seconds" })("a server with a self-signed certificate", (it) => {
  describe.each(PATHS)("with useCopy %j", (useCopy) => {
    it.effect.each(
      [
        ["", {}, "encrypted"],
        ["sslmode=disable", {}, "plain"],
        ["sslmode=allow", {}, "plain"],
        ["sslmode=prefer", {}, "encrypted"],
        ["sslmode=prefer", { root: true, host: "127.0.0.1" }, "encrypted"],
        ["sslmode=require", {}, "encrypted"],
        ["sslmode=require", { root: true, host: "127.0.0.1" }, "encrypted"],
        ["ssl=true", {}, "encrypted"],
        ["sslmode=verify-ca&sslrootcert=HOME/server.crt", { host: "127.0.0.1" }, "encrypted"],
        ["sslmode=verify-full&sslrootcert=HOME/server.crt", {}, "encrypted"],
        ["sslmode=verify-full", { root: true }, "encrypted"]
      ] as const
    )("records with %j and %o: %s", ([parameters, options, expected]) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* recorded(parameters, { ...options, useCopy }), expected)
      }))

    it.effect.each(
      [
        [
          "sslmode=verify-full",
          {},
          "; give the certificate to trust the server by as sslrootcert"
        ],
        ["sslrootcert=system", {}, "self-signed certificate"],
        ["sslmode=verify-full", { root: true, host: "127.0.0.1" }, "address the server by a name in its certificate"],
        ["sslmode=verify-ca", {}, "sslmode is \"verify-ca\": expected a file sslrootcert"],
        ["sslmode=require&sslrootcert=system", {}, "sslmode is \"require\": expected verify-full"],
        ["sslmode=require&sslrootcert=HOME/none.crt", {}, "none.crt\": expected a file in PEM that can be read"]
      ] as const
    )("is refused with %j and %o: %s", ([parameters, options, expected]) =>
      Effect.gen(function*() {
        assert.include(yield* recorded(parameters, { ...options, useCopy }), expected)
      }))
  })

  it.effect("lets in who may come only encrypted, or only in plain text", () =>
    Effect.gen(function*() {
      const server = yield* PostgresServer
      const password = Redacted.value(server.password)
      for (const user of ["secret", "open"]) {
        yield* server.query("postgres", `CREATE ROLE ${user} LOGIN SUPERUSER PASSWORD '${password}'`)
      }
      const encryption = (user: string, sslmode: string) => recorded(`sslmode=${sslmode}`, { user })
      assert.strictEqual(yield* encryption("secret", "allow"), "encrypted")
      assert.strictEqual(yield* encryption("open", "prefer"), "plain")
      assert.match(
        yield* encryption("secret", "disable"),
        /no pg_hba.conf entry .*no encryption; add an entry to the server's pg_hba.conf, or choose another sslmode/
      )
    }))

  it.effect.each(PATHS)(
    "takes a client's certificate instead of a password, useCopy %j",
    (useCopy) =>
      Effect.gen(function*() {
        const server = yield* PostgresServer
        yield* server.query("postgres", "DROP ROLE IF EXISTS localhost; CREATE ROLE localhost LOGIN SUPERUSER")
        const files = "sslcert=HOME/server.crt&sslkey=HOME/server.key"
        assert.strictEqual(yield* recorded(files, { user: "localhost", useCopy }), "encrypted")
        assert.include(yield* recorded("sslmode=require", { user: "localhost", useCopy }), "certificate")
      })
  )

  it.effect("a wrong password is not tried again in plain text", () =>
    Effect.gen(function*() {
      const answer = yield* recorded("password=wrong")
      assert.match(
        answer,
        /password authentication failed.*check user and password \(PGPASSWORD and ~\/.pgpass are read too\)/
      )
    }))
})

it.effect("a client's certificate and key are given from files", () =>
  Effect.gen(function*() {
    const folder = yield* home(false)
    yield* environment({ HOME: folder })
    fs.writeFileSync(`${folder}/.postgresql/postgresql.crt`, CERTIFICATE)
    fs.writeFileSync(`${folder}/.postgresql/postgresql.key`, KEY)
    fs.writeFileSync(`${folder}/other.key`, `${KEY}\n`)
    fs.writeFileSync(`${folder}/wrong.key`, KEY.slice(0, 100))
    const [own] = yield* encryptionsOf({ sslmode: "require" })
    assert.deepInclude(own as object, { cert: CERTIFICATE, key: KEY })
    const [given] = yield* encryptionsOf({ sslmode: "require", sslkey: `${folder}/other.key` })
    assert.deepInclude(given as object, { cert: CERTIFICATE, key: `${KEY}\n` })
    const wrong = yield* Effect.flip(encryptionsOf({ sslmode: "require", sslkey: `${folder}/wrong.key` }))
    assert.strictEqual(
      wrong.message,
      `sslkey is "${folder}/wrong.key": expected a file in PEM that can be read, without a passphrase`
    )
  }))
