/**
 * The command line on devices that misbehave, stream, are missing or have to be looked for.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import { Effect } from "effect"
import * as fs from "node:fs"
import { sampleline, startSampleline, tempFolder } from "./process.ts"

const rowsOf = (path: string) =>
  parse(fs.readFileSync(path, "utf8"), { columns: true }) as ReadonlyArray<{ readonly [column: string]: string }>

/** The summary in JSON among the log lines. */
const summaryOf = (stderr: string) => JSON.parse(/^\{.*\}$/m.exec(stderr)![0])

/** Simulated devices in a process of their own: name, unit and port of each. */
const simulate = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const running = yield* startSampleline(["simulate", ...args], { cwd })
  yield* running.printed("serving until Ctrl-C")
  return running.stdout().trim().split("\n").map((line) => {
    const [name = "", unit = "", port = ""] = line.split(" ")
    return { name, unit, port, flag: `${name}=${port},unit=${unit}` }
  })
})

it.layer(NodeServices.layer, { excludeTestServices: true })("sampleline", (it) => {
  it.effect("record --stream records what devices send by themselves, at the rate that they are told", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 2 --stream --rate 50 --out a.csv --out - --batch-size 1 --log-level debug --json".split(" "),
        { cwd }
      )
      for (const device of ["sim1", "sim2"]) yield* running.printed(`{"device":"${device}"`)
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 0, running.stderr())
      assert.strictEqual(running.stderr().match(/< ANCS 20$/gm)?.length, 2)
      const rows = rowsOf(`${cwd}/a.csv`)
      assert.strictEqual(rows.length, summaryOf(running.stderr()).samplesEmitted)
      assert.strictEqual(rows.length, running.stdout().trim().split("\n").length)
      assert.deepStrictEqual(new Set(rows.map(({ device }) => device)), new Set(["sim1", "sim2"]))
      assert.isTrue(rows.every((row) => row["requested_at"] === row["received_at"] && row["latency_s"] === "0"))
    }))

  it.effect("record starts cleanly on a device that a recording killed with kill -9 has left streaming", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      for (
        const args of [["--devices", "1"], ["--devices", "1", "--firmware", "GP07"], ["--devices", "1", "--tcp", "0"]]
      ) {
        const [fuel] = yield* simulate(cwd, ...args)
        const toStdout = ["--device", fuel!.flag, "--batch-size", "1", "--out", "-", "--json"]
        for (const next of [["--stream"], []]) {
          const streaming = yield* startSampleline(["record", "--stream", ...toStdout], { cwd })
          yield* streaming.printed("Mass")
          streaming.process.kill("SIGKILL")
          yield* streaming.exit
          const after = yield* startSampleline(["record", ...next, ...toStdout], { cwd })
          yield* after.printed("Mass")
          after.process.kill("SIGINT")
          assert.strictEqual(yield* after.exit, 0, after.stderr())
          assert.notInclude(after.stderr(), "malformed", args.join(" "))
        }
      }
    }))

  it.effect.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "record --stream stops the device on %s",
    (signal) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const [fuel] = yield* simulate(cwd, "--devices", "1")
        const running = yield* startSampleline(["record", "--stream", "--device", fuel!.flag, "--out", "-"], { cwd })
        yield* running.printed("Mass_Flow")
        running.process.kill(signal)
        yield* running.exit
        // Nothing is sent to a port on which a device streams: that it is found says that it does not.
        const { code, stdout } = yield* sampleline(["discover", fuel!.port, "--units", "A"], { cwd })
        assert.strictEqual(code, 0)
        assert.include(stdout, "serial number 100001")
      })
  )

  it.effect.each(
    [
      [["--stream", "--precise", "--simulate", "1"], "--precise is about when devices are asked"],
      [["--stream", "--device", "a=tcp://127.0.0.1:1", "--device", "b=tcp://127.0.0.1:2", "--rate", "0"], "rate"],
      [["--stream", "--simulate", "1", "--rate", "0.001"], "--rate 0.001: with --stream no device is slower"]
    ] as const
  )("record %j is wrong usage", ([args, message]) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stderr } = yield* sampleline(["record", ...args, "--out", "a.csv"], { cwd })
      assert.strictEqual(code, 2)
      assert.include(stderr, message)
      assert.deepStrictEqual(fs.readdirSync(cwd), [])
    }))

  it.effect("record --stream of two devices on one port is wrong usage, and says which", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const devices = yield* simulate(cwd, "--devices", "2", "--units", "2")
      const flags = devices.flatMap(({ flag }) => ["--device", flag])
      const { code, stderr } = yield* sampleline(["record", "--stream", ...flags, "--out", "a.csv"], { cwd })
      assert.strictEqual(code, 2)
      assert.include(stderr, `devices is sim1, sim2: expected one device to stream on ${devices[0]!.port}`)
    }))

  it.effect("record --allow-missing begins without what is not there, which it does not do otherwise", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const [fuel] = yield* simulate(cwd, "--devices", "1")
      const args = ["record", "--device", fuel!.flag, "--device", "air=/dev/none", "--duration", "1s", "--out", "a.csv"]
      const strict = yield* sampleline(args, { cwd })
      assert.strictEqual(strict.code, 1)
      assert.include(strict.stderr, "sampleline: cannot open /dev/none: no such port")
      assert.deepStrictEqual(fs.readdirSync(cwd), [])
      const { code, stderr, stdout } = yield* sampleline([...args, "--allow-missing", "--json"], { cwd })
      assert.strictEqual(code, 0, stderr)
      assert.include(stderr, "going on without it until it is there")
      const summary = JSON.parse(stdout)
      assert.deepStrictEqual(summary.silentDevices, ["air"])
      assert.deepStrictEqual(summary.failures, { sim1: 0, air: summary.ticks })
      const nothing = yield* sampleline(
        ["record", "--device", "air=/dev/none", "--allow-missing", "--duration", "300ms", "--out", "b.csv"],
        { cwd }
      )
      assert.strictEqual(nothing.code, 1)
      assert.include(nothing.stderr, "not one sample was recorded")
    }))

  it.effect("record warns of a rate that the bus cannot reach", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const [fuel] = yield* simulate(cwd, "--devices", "1", "--delay", "30ms")
      const { code, stderr } = yield* sampleline(
        ["record", "--device", fuel!.flag, "--rate", "100", "--duration", "500ms", "--out", "a.csv"],
        { cwd }
      )
      assert.strictEqual(code, 0)
      assert.match(
        stderr,
        /WARN 100 Hz is more than \S+ can do: polling sim1 there takes [\d.]+ ms, which makes at most/
      )
    }))

  it.effect("discover prints what to give to record, and record takes it", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const devices = yield* simulate(cwd, "--devices", "3", "--units", "2")
      const ports = [...new Set(devices.map(({ port }) => port))]
      const { code, stderr, stdout } = yield* sampleline(["discover", ...ports, "/dev/none", "--units", "A-B"], { cwd })
      assert.strictEqual(code, 0)
      assert.include(stderr, "WARN cannot open /dev/none: no such port")
      const lines = stdout.trim().split("\n").toSorted()
      assert.deepStrictEqual(
        lines.map((line) => line.split(" ")[1]),
        devices.map(({ port, unit }) => `NAME=${port},unit=${unit},baud=19200`).toSorted()
      )
      assert.isTrue(lines.every((line) => /MC-500SCCM-D, serial number 10000\d, firmware 10v20/.test(line)))
      const flag = lines[0]!.split(" ")[1]!.replace("NAME", "fuel")
      const recorded = yield* sampleline(["record", "--device", flag, "--duration", "200ms", "--out", "a.csv"], { cwd })
      assert.strictEqual(recorded.code, 0, recorded.stderr)

      const json = yield* sampleline(["discover", ports[1]!, "--units", "a", "--json"], { cwd })
      const [found] = JSON.parse(json.stdout)
      assert.deepInclude(found, { port: ports[1], unit: "A", baud: 19200 })
      assert.deepInclude(found.columns, { name: "Mass_Flow", unit: "SCCM" })
    }))

  it.effect("discover fails where nobody answers, and refuses what is no unit id", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const [fuel] = yield* simulate(cwd, "--devices", "1", "--tcp", "0")
      const none = yield* sampleline(["discover", fuel!.port, "--units", "B,D"], { cwd })
      assert.strictEqual(none.code, 1)
      assert.include(none.stderr, `no device answered on ${fuel!.port}; check power`)
      for (const units of ["1", "D-A", "A-", ""]) {
        const { code, stderr } = yield* sampleline(["discover", fuel!.port, "--units", units], { cwd })
        assert.strictEqual(code, 2, units)
        assert.include(stderr, "give unit ids as A, A-D or A,C,F")
      }
    }))

  it.effect("shows no password that someone has put into a port's name", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(`${cwd}/bench.yaml`, "devices: { a: { port: 'tcp://me:s3cret@127.0.0.1' } }\nout: a.csv\n")
      for (
        const args of [
          ["discover", "tcp://me:s3cret@127.0.0.1:1"],
          ["discover", "postgres://me:s3cret@h/d", "--units", "A"],
          ["record", "--device", "a=tcp://me:s3cret@127.0.0.1:1", "--out", "a.csv"],
          ["record", "--device", "a=postgres://me:s3cret@h/d", "--out", "a.csv"],
          ["record", "--config", "bench.yaml"]
        ]
      ) {
        const { code, stderr, stdout } = yield* sampleline(args, { cwd })
        assert.notStrictEqual(code, 0, args.join(" "))
        assert.notInclude(stderr + stdout, "s3cret", args.join(" "))
      }
    }))

  it.effect("discover tells of a device that was left streaming, however slowly", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const [fuel] = yield* simulate(cwd, "--devices", "1", "--tcp", "0")
      const streaming = yield* startSampleline(
        ["record", "--stream", "--rate", "2", "--batch-size", "1", "--device", fuel!.flag, "--out", "-"],
        { cwd }
      )
      yield* streaming.printed("Mass_Flow")
      streaming.process.kill("SIGKILL")
      yield* streaming.exit
      const { code, stderr } = yield* sampleline(["discover", fuel!.port, "--units", "A-F"], { cwd })
      assert.strictEqual(code, 1)
      assert.include(stderr, `${fuel!.port}: a device there streams, so its unit id is unknown`)
    }))

  it.effect("simulate misbehaves as its flags say", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const devices = yield* simulate(
        cwd,
        ..."--devices 6 --delay sim1:600ms/4 --garble sim2:4 --cut sim3:4 --silent sim4:4 --vanish sim5:12s".split(" ")
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

  it.effect("simulate swaps the devices of two ports, and none is recorded under the other's name", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const devices = yield* simulate(cwd, "--devices", "2", "--swap", "10s+500ms")
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
      [["--delay", "3"], "--delay 3: give it as [NAME:]TIME[/WHEN]"],
      [["--garble", "often"], "--garble often: give it as [NAME:]WHEN"],
      [["--silent", "5s+2s+1s"], "--silent 5s+2s+1s"],
      [["--vanish", "3"], "--vanish 3: give it as [NAME:]AFTER[+FOR]"],
      [["--cut", "sim2:3"], "faults.cut.device is \"sim2\": expected sim1 to sim1"],
      [["--swap", "1s"], "at least two ports to swap"],
      [["--tcp", "65535", "--devices", "2"], "tcp is 65535: expected a whole number from 0 to 65534"]
    ] as const
  )("simulate %j is wrong usage", ([args, message]) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stderr } = yield* sampleline(["simulate", ...args], { cwd })
      assert.strictEqual(code, 2)
      assert.include(stderr, message)
    }))
})
