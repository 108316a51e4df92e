/**
 * Outputs that cannot be reached when a recording begins.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { sampleline, startSampleline, tempFolder } from "./process.ts"
import { fileGrowsBeyond, type JsonSummary, linesOf, rowsOf } from "./recordings.ts"

const ALLOWED = "record --allow-missing --simulate 1 --rate 50 --flush-interval 50ms --row-ids --json --out a.csv"
  .split(" ")

/** What was told of outputs while they recorded. */
const toldIn = (cwd: string) =>
  linesOf(fs.readFileSync(`${cwd}/a.csv-events.jsonl`, "utf8")).map(({ event }) => String(event))
    .filter((event) => event.startsWith("Output"))

/** A server that takes connections and never says anything. */
const silentServer = Effect.map(
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const sockets = new Set<net.Socket>()
      const server = net.createServer((socket) => {
        sockets.add(socket.on("error", () => {}).on("close", () => sockets.delete(socket)))
      })
      server.on("close", () => sockets.forEach((socket) => socket.destroy()))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ),
  (server) => `postgres://me@127.0.0.1:${(server.address() as net.AddressInfo).port}/lab?connect_timeout=1`
)

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("with --allow-missing", (it) => {
  it.effect("a server that never answers is left to the journal, and holds up neither the recording nor its end", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const url = yield* silentServer
      const running = yield* startSampleline([...ALLOWED, "--out", url], { cwd })
      yield* running.printed("its samples wait in the journal a.csv.journal")
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 5_000)
      const asked = performance.now()
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 1)
      assert.isBelow(performance.now() - asked, 15_000)
      const { journal, samplesEmitted } = JSON.parse(running.stdout())
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, samplesEmitted)
      assert.strictEqual(journal.path, "a.csv.journal")
      assert.deepStrictEqual(toldIn(cwd), ["OutputFailing"])
      assert.strictEqual(running.stderr().match(/WARN PostgresSink/g)?.length, 1, running.stderr())
    }))

  it.effect("and --no-journal an output must be there", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stderr } = yield* sampleline(
        [...ALLOWED, "--no-journal", "--out", "postgres://me@127.0.0.1:1/lab"],
        { cwd }
      )
      assert.strictEqual(code, 1)
      assert.match(stderr, /sampleline: PostgresSink cannot open 127\.0\.0\.1:1\/.* accepts connections\n$/)
    }))
})

const postgres = Layer.provideMerge(PostgresServer.layer, NodeServices.layer)

it.layer(postgres, { excludeTestServices: true, timeout: "60 seconds" })("a Postgres server that is down", (it) => {
  const begin = Effect.gen(function*() {
    const server = yield* PostgresServer
    const database = yield* server.database
    const cwd = yield* tempFolder
    const env = { ...process.env, PGPASSWORD: Redacted.value(server.password) }
    const out = ["--out", `postgres://owner@127.0.0.1:${server.address.port}/${database}`]
    return { server, database, cwd, env, out }
  })

  it.effect("refuses a recording, which names the flag; with it the server gets everything when it is back", () =>
    Effect.gen(function*() {
      const { cwd, database, env, out, server } = yield* begin
      yield* server.stop("fast")
      const args = [...ALLOWED, "--create-table", ...out]
      const refused = yield* sampleline(args.filter((arg) => arg !== "--allow-missing"), { cwd, env })
      assert.strictEqual(refused.code, 1)
      assert.match(
        refused.stderr,
        /accepts connections\. Or give --allow-missing: then its samples wait in the journal/
      )
      assert.deepStrictEqual(fs.readdirSync(cwd), [])
      const checked = yield* sampleline(["check", ...args.slice(1)], { cwd, env })
      assert.strictEqual(checked.code, 0, checked.stderr)

      const running = yield* startSampleline(args, { cwd, env })
      yield* running.printed("its samples wait in the journal a.csv.journal")
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 5_000)
      yield* server.start
      yield* running.printed("it accepts samples again")
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 0, running.stderr())
      const { samplesEmitted, sinks }: JsonSummary = JSON.parse(running.stdout())
      assert.deepStrictEqual(
        sinks.map(({ error, rows }) => [rows, error]),
        Array.from(sinks, () => [samplesEmitted, null])
      )
      assert.deepStrictEqual(toldIn(cwd), ["OutputFailing", "OutputBack"])
      const rows = yield* server.query(database, "SELECT sequence::int FROM samples ORDER BY sequence")
      assert.deepStrictEqual(rows.map(({ sequence }) => sequence), Array.from(rows, (_, n) => n))
      assert.strictEqual(rows.length, samplesEmitted)
      assert.isFalse(fs.existsSync(`${cwd}/a.csv.journal`))
    }))

  it.effect("stops as an output if it then has no such table; the journal keeps its samples", () =>
    Effect.gen(function*() {
      const { cwd, env, out, server } = yield* begin
      const refused = yield* sampleline([...ALLOWED, ...out], { cwd, env })
      assert.strictEqual(refused.code, 1)
      assert.include(refused.stderr, "the schema has no table samples")

      yield* server.stop("fast")
      const running = yield* startSampleline([...ALLOWED, ...out], { cwd, env })
      yield* running.printed("its samples wait in the journal a.csv.journal")
      yield* server.start
      yield* running.printed("its samples stay in the journal a.csv.journal")
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 1)
      assert.match(
        running.stderr(),
        /samples lacks [\d,]+ samples and events; run `sampleline resume a\.csv\.journal`\n$/
      )
    }))

  it.effect("keeps no killed run from being followed by others; all are finished by the first start that reaches it", () =>
    Effect.gen(function*() {
      const { cwd, database, env, out, server } = yield* begin
      const journals = () => fs.readdirSync(cwd).filter((name) => name.endsWith(".journal"))
      const kill = Effect.fnUntraced(function*(text: string) {
        const size = fs.existsSync(`${cwd}/a.csv`) ? fs.statSync(`${cwd}/a.csv`).size : 0
        const running = yield* startSampleline([...ALLOWED, "--append", "--create-table", ...out], { cwd, env })
        yield* running.printed(text)
        yield* fileGrowsBeyond(`${cwd}/a.csv`, size + 5_000)
        running.process.kill("SIGKILL")
        yield* running.exit
      })
      yield* kill("INFO PostgresSink opened")
      yield* server.stop("fast")
      yield* kill("WARN a.csv.journal stays, and this recording begins without it: ")
      assert.deepStrictEqual(journals(), ["a.csv-2.journal", "a.csv.journal"])
      yield* server.start
      const { code, stderr } = yield* sampleline(
        [...ALLOWED, "--append", "--create-table", "--duration", "100ms", ...out],
        { cwd, env }
      )
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /INFO a\.csv\.journal is finished: .*\n[^]*INFO a\.csv-2\.journal is finished: /)
      assert.deepStrictEqual(journals(), [])
      const rows = yield* server.query(
        database,
        "SELECT run_id::text, sequence::text FROM samples ORDER BY samples.run_id, samples.sequence"
      )
      assert.deepStrictEqual(
        rows,
        rowsOf(`${cwd}/a.csv`).map(({ run_id, sequence }) => ({ run_id, sequence }))
      )
    }))
})
