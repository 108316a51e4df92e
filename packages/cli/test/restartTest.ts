/**
 * Kills a recorder at random moments and starts the same command again, as a supervisor does. Then counts what is lost, twice or out
 * of order in each output.
 *
 *     npm run restart-test -- --kills 30 --seed 1 --outputs csv,jsonl,db,parquet,postgres
 *
 * A test that fails keeps its folder. The moments depend on the seed alone.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer, Random, Redacted } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { files, type Output, restarts } from "./restarts.ts"

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "30" },
    seed: { type: "string", default: "1" },
    outputs: { type: "string", default: "csv,jsonl,db,parquet,postgres" }
  }
})

/** While it starts, finishes what was left, and records. */
const EARLIEST_MILLIS = 200
const LATEST_MILLIS = 5000

const program = Effect.gen(function*() {
  const server = yield* PostgresServer
  const database = yield* server.database
  const postgres: Output = {
    target: `postgres://owner@127.0.0.1:${server.address.port}/${database}`,
    read: () => server.query(database, "SELECT run_id, sequence FROM samples ORDER BY run_id, sequence")
  }
  const all: { readonly [name: string]: Output } = { ...files, postgres }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `restarts-${values.seed}-`))
  const moments = yield* Random.withSeed(
    Effect.replicateEffect(Random.nextIntBetween(EARLIEST_MILLIS, LATEST_MILLIS), Number(values.kills)),
    Number(values.seed)
  )
  let done = 0
  const { killed, problems, samples } = yield* restarts({
    folder,
    env: { ...process.env, PGPASSWORD: Redacted.value(server.password) },
    outputs: values.outputs.split(",").map((name) => all[name]!),
    kills: moments.map((millis) => () =>
      Effect.andThen(
        Effect.sleep(millis),
        Effect.sync(() => process.stderr.write(`\r${++done} of ${moments.length} kills`))
      )
    )
  })
  process.stderr.write("\n")
  yield* Console.log(
    `${moments.length} kills, ${killed} of them in a run, ${samples} samples accepted, into ${values.outputs}: ${
      problems.length === 0 ? "0 lost, 0 twice, 0 out of order" : `seed ${values.seed} failed`
    }`
  )
  if (problems.length === 0) return fs.rmSync(folder, { recursive: true })
  process.stderr.write(`  ${problems.join("\n  ")}\n  its files are in ${folder}\n`)
  process.exitCode = 1
})

await Effect.runPromise(
  program.pipe(Effect.scoped, Effect.provide(Layer.merge(NodeServices.layer, PostgresServer.layer)))
)
