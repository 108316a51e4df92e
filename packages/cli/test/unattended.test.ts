/**
 * What the README says of unattended recording: the unit of systemd, and the question of the morning.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { BIN, startSampleline, startSimulator, tempFolder } from "./process.ts"
import { blocksOf } from "./readmes.ts"
import { fileGrowsBeyond } from "./recordings.ts"

const blocks = blocksOf("packages/cli/README.md")
const unit = blocks.find(({ language }) => language === "ini")!.code.replaceAll(/\\\n\s*/g, "")
const setting = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1] ?? assert.fail(`no ${name}`)
const [program = "", ...args] = setting("ExecStart").split(" ")

const canVerify = spawnSync("systemd-analyze", ["--version"]).status === 0

it.layer(NodeServices.layer, { excludeTestServices: true })("the unit of systemd", (it) => {
  it.effect.skipIf(!canVerify)("is one that systemd takes", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(`${cwd}/bench.service`, unit.replace(program, BIN))
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", `${cwd}/bench.service`], { encoding: "utf8" })
      // It also looks at the machine's own units.
      assert.notInclude(stderr, "bench.service", stderr)
      assert.strictEqual(status, 0, stderr)
    }))

  it.effect("records, goes on after a kill, and ends as systemd is told; the query tells of both runs", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices: [fuel] } = yield* startSimulator(cwd, "--devices", "1")
      const run = Effect.fnUntraced(function*(signal: NodeJS.Signals, bytes: number) {
        const recorder = yield* startSampleline(
          args.map((arg) => arg.replace("fuel=/dev/ttyUSB0", fuel!.flag)),
          { cwd }
        )
        yield* fileGrowsBeyond(`${cwd}/bench.csv`, bytes)
        recorder.process.kill(signal)
        return yield* recorder.exit
      })
      assert.strictEqual(yield* run("SIGKILL", 500), null)
      const size = fs.statSync(`${cwd}/bench.csv`).size
      assert.strictEqual(yield* run("SIGTERM", size + 500), Number(setting("SuccessExitStatus")))
      const database = new DatabaseSync(`${cwd}/bench.db`)
      const query = blocks.find(({ code }) => code.startsWith("-- bench.db\n"))!.code
      const events = database.prepare(query).all().map(({ event, reason }) => [event, reason])
      database.close()
      assert.deepStrictEqual(events.filter(([event]) => String(event).startsWith("Run")), [
        ["RunStarted", null],
        ["RunEnded", "unknown"],
        ["RunStarted", null],
        ["RunEnded", "stopped"]
      ])
    }))
})
