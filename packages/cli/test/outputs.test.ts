/**
 * Runs with several outputs: all have the same rows, read back by other readers than ours. A failing output does not harm the
 * others.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { SimulatedDevice } from "@sampleline/alicat/SimulatedDevice"
import { type Cell, type Column, FrameFormat, makeFrame, type Run, Sample, SampleSink } from "@sampleline/core"
import { ParquetSink } from "@sampleline/sinks/ParquetSink"
import { type Array, Effect, Layer, Redacted } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { readWithDuckDb } from "../../sinks/test/duckdb.ts"
import { PostgresServer, readPostgres } from "../../sinks/test/postgres.ts"
import { sampleline, startSampleline, tempFolder } from "./process.ts"
import { fileGrowsBeyond } from "./recordings.ts"

const column = (name: string, type: Column["type"]): Column => ({ name, type, nullable: true })

const COLUMNS = [
  column("device", "text"),
  column("unit_id", "text"),
  column("requested_at", "timestamp"),
  column("received_at", "timestamp"),
  column("midpoint_at", "timestamp"),
  column("latency_s", "float"),
  column("Abs_Press", "float"),
  column("Flow_Temp", "float"),
  column("Volu_Flow", "float"),
  column("Mass_Flow", "float"),
  column("Mass_Flow_Setpt", "float"),
  column("Gas", "text"),
  column("status", "text"),
  column("run_id", "text"),
  column("sequence", "int"),
  column("tick", "int")
]

const DUCKDB_TYPES = { text: "VARCHAR", float: "DOUBLE", int: "BIGINT", timestamp: "TIMESTAMPTZ", any: "VARCHAR" }

const csvTable = (path: string) =>
  `read_csv('${path}', header = true, nullstr = '', columns = {${
    COLUMNS.map(({ name, type }) => `'${name}': '${DUCKDB_TYPES[type]}'`).join(", ")
  }})`

/** CSV does not tell null from the empty text. */
const emptyAsNull = (rows: ReadonlyArray<{ readonly [column: string]: Cell }>) =>
  rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, cell === "" ? null : cell])))

const upTo = (length: number) => globalThis.Array.from({ length }, (_, n) => n)

const layer = Layer.merge(NodeServices.layer, PostgresServer.layer)

it.layer(layer, { excludeTestServices: true, concurrent: true, timeout: "60 seconds" })("outputs", (it) => {
  it.effect("all five have the same rows, value by value", () =>
    Effect.gen(function*() {
      const server = yield* PostgresServer
      const database = yield* server.database
      const cwd = yield* tempFolder
      const files = ["run.csv", "run.jsonl", "run.db", "run.parquet"]
      const url = `postgres://owner@127.0.0.1:${server.address.port}/${database}`
      const result = yield* sampleline([
        "record",
        "--simulate",
        "3",
        "--rate",
        "100",
        "--duration",
        "1s",
        "--row-ids",
        "--create-table",
        "--json",
        ...[...files, url].flatMap((out) => ["--out", out])
      ], { cwd, env: { ...process.env, PGPASSWORD: Redacted.value(server.password) } })
      assert.strictEqual(result.code, 0, result.stderr)
      const { samplesEmitted, sinks } = JSON.parse(result.stdout)
      assert.isAbove(samplesEmitted, 0)
      assert.deepStrictEqual(sinks.map((sink: { readonly rows: number }) => sink.rows), sinks.map(() => samplesEmitted))

      const path = (name: string) => `${cwd}/${name}`
      const inPostgres = yield* readPostgres(server, database, COLUMNS)
      assert.strictEqual(inPostgres.length, samplesEmitted)
      const inParquet = yield* readWithDuckDb(`'${path("run.parquet")}'`, COLUMNS)
      assert.deepStrictEqual(inParquet, inPostgres)
      const inCsv = yield* readWithDuckDb(csvTable(path("run.csv")), COLUMNS)
      assert.deepStrictEqual(emptyAsNull(inCsv), emptyAsNull(inPostgres))
      const inJsonl = fs.readFileSync(path("run.jsonl"), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(inJsonl, inPostgres)
      const db = new DatabaseSync(path("run.db"), { readOnly: true })
      const inSqlite = db.prepare("SELECT * FROM samples ORDER BY rowid").all().map((row) => ({ ...row }))
      db.close()
      assert.deepStrictEqual(inSqlite, inPostgres)
      assert.deepStrictEqual(inPostgres.map((row) => row["sequence"]), inPostgres.map((_, n) => n))
      assert.isTrue(inPostgres.some((row) => !String(row["requested_at"]).endsWith("000Z")), "microseconds are there")

      const metadata = JSON.parse(fs.readFileSync(path("run.csv-metadata.json"), "utf8"))
      assert.deepStrictEqual(
        metadata.tableSchema.columns.map((column: { readonly titles: string }) => column.titles),
        COLUMNS.map(({ name }) => name)
      )
      assert.deepInclude(metadata.tableSchema.columns[9], { datatype: "double", "schema:unitText": "SCCM" })
      assert.strictEqual(metadata.notes[0].devices[0].model, "MC-500SCCM-D")
    }))

  it.effect("Parquet takes at most 14 bytes a sample, for 100,000 samples of ten devices", () =>
    Effect.gen(function*() {
      const path = `${yield* tempFolder}/run.parquet`
      const format = FrameFormat.make([
        ...["Abs_Press", "Flow_Temp", "Volu_Flow", "Mass_Flow", "Mass_Flow_Setpt"].map((name) => ({ name })),
        { name: "Gas", kind: "text" }
      ])
      const run: Run = { id: "run-1", startedAt: 1_772_366_400_000_000, devices: [] }
      const devices = upTo(10).map((n) => new SimulatedDevice({ serialNumber: 1000 + n }))
      const jitter = new SimulatedDevice()
      const tick = (index: number) =>
        devices.map((device, at) => {
          const fields = device.respond("A", index / 100)[0]!.split(/\s+/).slice(1)
          // The last digits of another device's reading scatter the times by up to a millisecond.
          const reading = Number(jitter.respond("A", index / 100)[0]!.split(/\s+/)[4])
          const scatter = (Math.round(reading * 100) * 7919) % 1000
          const requestedAt = run.startedAt + index * 10_000 + scatter
          const latency = 800 + scatter
          return new Sample({
            run,
            device: `sim${at + 1}`,
            unitId: "A",
            sequence: index * 10 + at,
            requestedAt,
            receivedAt: requestedAt + latency,
            requestedMonotonicNanos: 0,
            receivedMonotonicNanos: latency * 1000,
            frame: makeFrame(format, [...fields.slice(0, 5).map(Number), fields[5]])
          })
        })
      yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        for (const index of upTo(10_000)) {
          yield* sink.write(tick(index) as unknown as Array.NonEmptyReadonlyArray<Sample>)
        }
      }).pipe(Effect.provide(ParquetSink.layer({ path })))
      assert.isAtMost(fs.statSync(path).size / 100_000, 14)
    }))

  it.effect("a kill -9 costs the open row group of a Parquet file, and the same command with --append goes on", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const args = "record --no-journal --simulate 1 --rate 50 --batch-size 1 --out a.csv --out a.parquet".split(" ")
      const running = yield* startSampleline(args, { cwd })
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 2000)
      running.process.kill("SIGKILL")
      yield* running.exit
      assert.sameMembers(fs.readdirSync(cwd), [
        ".a.csv.lock",
        ".a.csv.lock.owner",
        ".a.parquet.lock",
        ".a.parquet.lock.owner",
        "a.csv",
        "a.csv-events.jsonl",
        "a.csv-metadata.json",
        "a.parquet.partial",
        "a.parquet.partial-groups"
      ])
      const refused = yield* sampleline([...args, "--overwrite"], { cwd })
      assert.strictEqual(refused.code, 1)
      assert.include(refused.stderr, "a.parquet.partial exists: its recording is still running, or was killed")
      // No row group was finished.
      for (const files of [["a.parquet"], ["a-2.parquet", "a.parquet"]]) {
        const again = yield* sampleline([...args, "--duration", "200ms", "--append"], { cwd })
        assert.strictEqual(again.code, 0, again.stderr)
        assert.deepStrictEqual(fs.readdirSync(cwd).filter((name) => name.startsWith("a.csv")), [
          "a.csv",
          "a.csv-events.jsonl",
          "a.csv-metadata.json"
        ])
        assert.deepStrictEqual(fs.readdirSync(cwd).filter((name) => /^a.*parquet/.test(name)), files)
      }
    }))

  it.effect("no row is missing if log rotation moves the files away, and a removed database is told", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const args = "record --simulate 2 --rate 50 --flush-interval 50ms --json --out a.csv --out b.jsonl --out c.db"
      const running = yield* startSampleline(args.split(" "), { cwd })
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 2000)
      yield* fileGrowsBeyond(`${cwd}/c.db-wal`, 2000)
      for (const name of ["a.csv", "b.jsonl"]) fs.renameSync(`${cwd}/${name}`, `${cwd}/${name}.1`)
      fs.rmSync(`${cwd}/c.db`)
      yield* running.printed("was removed or replaced while it was recorded")
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 2000)
      yield* fileGrowsBeyond(`${cwd}/b.jsonl`, 2000)
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 1)
      const { samplesEmitted, sinks } = JSON.parse(running.stdout())
      assert.deepInclude(sinks[0], { rows: samplesEmitted, error: null })
      assert.deepInclude(sinks[1], { rows: samplesEmitted, error: null })
      assert.include(JSON.stringify(sinks[2].error), "c.db")
      assert.isBelow(sinks[2].rows, samplesEmitted)
      const linesOf = (name: string) => fs.readFileSync(`${cwd}/${name}`, "utf8").trimEnd().split("\n").length
      assert.strictEqual(linesOf("a.csv.1") + linesOf("a.csv") - 2, samplesEmitted)
      assert.strictEqual(linesOf("b.jsonl.1") + linesOf("b.jsonl"), samplesEmitted)
      assert.include(running.stderr(), "was moved to")
    }))

  it.effect("the other outputs are complete if a server goes away in the middle of a run, and resume finishes its table", () =>
    Effect.gen(function*() {
      const server = yield* PostgresServer
      const database = yield* server.database
      yield* server.query("postgres", `ALTER DATABASE ${database} CONNECTION LIMIT 20`)
      const cwd = yield* tempFolder
      const url = `postgres://owner@127.0.0.1:${server.address.port}/${database}`
      const env = { ...process.env, PGPASSWORD: Redacted.value(server.password) }
      const running = yield* startSampleline([
        "record",
        "--simulate",
        "2",
        "--rate",
        "50",
        "--flush-interval",
        "100ms",
        "--create-table",
        "--json",
        "--out",
        "run.csv",
        "--out",
        "run.parquet",
        "--out",
        url
      ], { cwd, env })
      const hasTable = server.query(database, "SELECT to_regclass('samples') IS NOT NULL AS yes")
      while (!(yield* hasTable)[0]!["yes"]) yield* Effect.sleep("20 millis")
      // New connections are refused, then existing ones ended. In one query, and so in one transaction, a connection
      // could be made between the two.
      yield* server.query("postgres", `ALTER DATABASE ${database} ALLOW_CONNECTIONS false`)
      yield* server.query(
        "postgres",
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`
      )
      yield* running.printed("in the journal run.csv.journal")
      yield* fileGrowsBeyond(`${cwd}/run.csv`, fs.statSync(`${cwd}/run.csv`).size + 5000)
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 1)
      const { samplesEmitted, sinks } = JSON.parse(running.stdout())
      const [csv, parquet, postgres] = sinks
      assert.deepStrictEqual([csv.rows, parquet.rows], [samplesEmitted, samplesEmitted])
      assert.isBelow(postgres.rows, samplesEmitted)
      const lines = fs.readFileSync(`${cwd}/run.csv`, "utf8").trimEnd().split("\n").length - 1
      assert.strictEqual(lines, samplesEmitted)
      const rows = yield* readWithDuckDb(`'${cwd}/run.parquet'`, [column("device", "text")])
      assert.strictEqual(rows.length, samplesEmitted)
      yield* server.query("postgres", `ALTER DATABASE ${database} ALLOW_CONNECTIONS true`)
      const resumed = yield* sampleline(["resume"], { cwd, env })
      assert.strictEqual(resumed.code, 0, resumed.stderr)
      const [table] = yield* server.query(
        database,
        "SELECT count(*)::int AS rows, count(DISTINCT sequence)::int AS different FROM samples"
      )
      assert.deepStrictEqual(table, { rows: samplesEmitted, different: samplesEmitted })
    }))

  it.effect("finds a server by a socket, a service and a password file", () =>
    Effect.gen(function*() {
      const server = yield* PostgresServer
      const database = yield* server.database
      const cwd = yield* tempFolder
      const { port } = server.address
      const password = Redacted.value(server.password).replaceAll(/[\\:]/g, "\\$&")
      fs.writeFileSync(`${cwd}/services`, `[lab]\nhost=${server.socketFolder}\nport=${port}\ndbname=${database}\n`)
      fs.writeFileSync(`${cwd}/passwords`, `${server.socketFolder}:${port}:*:owner:${password}\n`, { mode: 0o600 })
      const { code, stderr, stdout } = yield* sampleline(
        [
          "record",
          "--simulate",
          "1",
          "--duration",
          "200ms",
          "--quiet",
          "--create-table",
          "--out",
          "postgres://?service=lab"
        ],
        {
          cwd,
          env: { ...process.env, PGUSER: "owner", PGSERVICEFILE: `${cwd}/services`, PGPASSFILE: `${cwd}/passwords` }
        }
      )
      assert.strictEqual(code, 0, stderr)
      assert.notInclude(stdout + stderr, password)
      assert.deepStrictEqual(yield* server.query(database, "SELECT count(*) > 0 AS any FROM samples"), [{ any: true }])
    }))

  it.effect("no password is printed, wherever it was given and whatever fails", () =>
    Effect.gen(function*() {
      const server = yield* PostgresServer
      const cwd = yield* tempFolder
      const secret = "hunter2/Sesame@42?"
      const encoded = encodeURIComponent(secret)
      const address = `127.0.0.1:${server.address.port}`
      const attempts = [
        [`postgres://owner:${encoded}@${address}/postgres`, {}],
        [`postgres://owner:${secret}@${address}/postgres`, {}],
        [`postgres://owner@${address}/postgres`, { PGPASSWORD: secret }],
        [`postgres://owner:${encoded}@127.0.0.1:1/postgres`, {}],
        [`postgres://owner:${encoded}@${address}/postgres?password=${encoded}`, {}],
        [`postgress://owner:${encoded}@${address}/postgres`, {}],
        [`postgres:owner:${encoded}@${address}/postgres`, {}],
        [`owner:${encoded}@${address}/postgres`, {}],
        [`postgres//owner:${encoded}@${address}/postgres`, {}]
      ] as const
      const [[url]] = attempts
      const lines = [
        ...attempts.map(([out, env]) => ({ args: ["--out", out], env })),
        { args: ["--out", url, "--out", url], env: {} },
        { args: ["--outt", url], env: {} }
      ]
      const expectNoSecret = Effect.fnUntraced(function*({ args, env }: (typeof lines)[number]) {
        const { code, stderr, stdout } = yield* sampleline(
          ["record", "--simulate", "1", "--duration", "100ms", "--log-level", "all", ...args],
          { cwd, env: { ...process.env, ...env } }
        )
        assert.notStrictEqual(code, 0)
        for (const word of [secret, encoded, "hunter2", "Sesame"]) assert.notInclude(stdout + stderr, word)
      })
      yield* Effect.forEach(lines, expectNoSecret, { concurrency: 3, discard: true })
    }))

  it.effect.runIf(process.platform === "linux")(
    "the list of processes does not show a password",
    () =>
      Effect.gen(function*() {
        const server = yield* PostgresServer
        const database = yield* server.database
        const cwd = yield* tempFolder
        const running = yield* startSampleline([
          "record",
          "--simulate",
          "1",
          "--create-table",
          "--out",
          `postgres://owner:${
            encodeURIComponent(Redacted.value(server.password))
          }@127.0.0.1:${server.address.port}/${database}`
        ], { cwd })
        yield* running.printed("PostgresSink opened")
        assert.notInclude(fs.readFileSync(`/proc/${running.process.pid}/cmdline`, "utf8"), "s3cr3t")
        running.process.kill("SIGINT")
        assert.strictEqual(yield* running.exit, 0, running.stderr())
      })
  )
})
