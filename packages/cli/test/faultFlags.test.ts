import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { sampleline, startSampleline, startSimulator, tempFolder } from "./process.ts"
import { rowsOf } from "./recordings.ts"

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("the fault flags of simulate", (it) => {
  it.effect("make devices answer late, garbled, cut or not at all, and make ports vanish", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices } = yield* startSimulator(
        cwd,
        ..."--devices 6 --delay sim1:600ms/4 --garble sim2:2 --cut sim3:4 --silent sim4:4 --vanish sim5:4s".split(" ")
      )
      const flags = devices.flatMap(({ flag }) => ["--device", flag])
      const running = yield* startSampleline(
        ["record", ...flags, "--allow-missing", "--rate", "10", "--out", "a.csv", "--json"],
        { cwd }
      )
      for (
        const text of [
          "sim1: no reply within 500 ms",
          "sim2: malformed reply",
          "sim3: no reply within",
          "sim4: no reply within",
          `${devices[4]!.port} is gone`
        ]
      ) {
        yield* running.printed(text)
      }
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 0)
      const { failures, silentDevices } = JSON.parse(running.stdout())
      assert.notInclude(silentDevices, "sim6")
      assert.deepStrictEqual(devices.slice(0, 4).filter(({ name }) => failures[name] === 0), [])
    }))

  it.effect("swap the devices of two ports; neither is recorded under the other's name", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices } = yield* startSimulator(cwd, "--devices", "2", "--swap", "3s+500ms")
      const flags = devices.flatMap(({ flag }) => ["--device", flag])
      const running = yield* startSampleline(["record", ...flags, "--rate", "10", "--out", "a.csv"], { cwd })
      yield* running.printed("now: serial number 100002 instead of 100001")
      yield* running.printed("now: serial number 100001 instead of 100002")
      running.process.kill("SIGINT")
      yield* running.exit
      const gases = new Set(rowsOf(`${cwd}/a.csv`).map(({ device, Gas }) => `${device} ${Gas}`))
      assert.deepStrictEqual([...gases].toSorted(), ["sim1 N2", "sim2 Air"])
    }))

  it.effect.each(
    [
      [["--delay", "3"], "--delay 3: write [NAME:]TIME[/WHEN]"],
      [["--garble", "often"], "--garble often: write [NAME:]WHEN"],
      [["--silent", "5s+2s+1s"], "--silent 5s+2s+1s"],
      [["--vanish", "3"], "--vanish 3: write [NAME:]AFTER[+FOR]"],
      [["--cut", "sim2:3"], "faults.cut.device is \"sim2\": expected sim1 to sim1"],
      [["--swap", "1s"], "at least two ports to swap"],
      [["--tcp", "65535", "--devices", "2"], "tcp is 65535: expected a whole number from 0 to 65534"]
    ] as const
  )("%j is wrong usage", ([args, message]) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stderr } = yield* sampleline(["simulate", ...args], { cwd })
      assert.strictEqual(code, 2)
      assert.include(stderr, message)
    }))
})
