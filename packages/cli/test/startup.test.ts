/**
 * A command loads only the drivers that it uses, the journal only with one, and what serves or sends telemetry only if it is asked
 * for.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { BIN, start, tempFolder } from "./process.ts"

/** Lists the modules that the process loads. */
const PROBE = `
import * as fs from "node:fs"
import { registerHooks } from "node:module"
registerHooks({
  load(url, context, next) {
    fs.appendFileSync("loaded.txt", url + "\\n")
    return next(url, context)
  }
})
`

const DRIVERS = [
  "serialport",
  "@lydell/node-pty",
  "node:sqlite",
  "journal.js",
  "hyparquet-writer",
  "pg",
  "yaml",
  "metricsServer.js",
  "otlp.js"
]

const SIMULATED = ["serialport", "@lydell/node-pty"] as const
const UNREACHABLE = ["--device", "a=tcp://127.0.0.1:1", "--out", "a.csv", "--no-journal"] as const

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("start-up", (it) => {
  it.effect.each(
    [
      [["--version"], []],
      [["--help"], []],
      [["record", "--simulate", "1", "--out", "a.csv"], [...SIMULATED, "node:sqlite", "journal.js"]],
      [["record", "--simulate", "1", "--out", "a.csv", "--no-journal"], [...SIMULATED, "node:sqlite"]],
      [["record", "--simulate", "1", "--out", "a.jsonl", "--no-journal"], [...SIMULATED, "node:sqlite"]],
      [["record", "--simulate", "1", "--out", "a.db", "--no-journal"], [...SIMULATED, "node:sqlite"]],
      [["record", "--simulate", "1", "--out", "-"], SIMULATED],
      [["record", "--device", "a=tcp://127.0.0.1:1", "--out", "a.parquet"], ["journal.js"]],
      [["record", "--config", "bench.yaml"], ["yaml", "journal.js"]],
      [["record", ...UNREACHABLE, "--metrics", "0"], ["metricsServer.js"]],
      [["record", ...UNREACHABLE, "--otlp", "http://127.0.0.1:1"], ["otlp.js"]]
    ] as const
  )("%j loads no driver but %j", ([args, drivers]) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(`${cwd}/probe.mjs`, PROBE)
      fs.writeFileSync(`${cwd}/bench.yaml`, "devices: { a: 'tcp://127.0.0.1:1' }\nout: a.csv\n")
      const running = yield* start(
        process.execPath,
        ["--import", `${cwd}/probe.mjs`, BIN, ...args, ...(args[0] === "record" ? ["--duration", "100ms"] : [])],
        { cwd }
      )
      yield* running.exit
      const loaded = fs.readFileSync(`${cwd}/loaded.txt`, "utf8").split("\n")
      assert.deepStrictEqual(
        DRIVERS.filter((name) =>
          loaded.some((url) => url === name || url.includes(`/node_modules/${name}/`) || url.endsWith(`/dist/${name}`))
        ),
        DRIVERS.filter((name) => drivers.some((driver) => driver === name))
      )
    }))
})
