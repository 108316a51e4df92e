import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { sampleline, startSampleline, startSimulator, tempFolder } from "./process.ts"

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("sampleline discover", (it) => {
  it.effect("prints the --device flags that record each device", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices } = yield* startSimulator(cwd, "--devices", "3", "--units", "2")
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

  it.effect("fails if no device answers, and refuses wrong unit ids", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices: [fuel] } = yield* startSimulator(cwd, "--devices", "1", "--tcp", "0")
      const none = yield* sampleline(["discover", fuel!.port, "--units", "B,D"], { cwd })
      assert.strictEqual(none.code, 1)
      assert.include(none.stderr, `no device answered on ${fuel!.port}; check power`)
      for (const units of ["1", "D-A", "A-", ""]) {
        const { code, stderr } = yield* sampleline(["discover", fuel!.port, "--units", units], { cwd })
        assert.strictEqual(code, 2, units)
        assert.include(stderr, "write unit ids as A, A-D or A,C,F")
      }
    }))

  it.effect("says which devices cannot be recorded, and how they can; record then takes the columns from the flag or the file", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices: [fuel] } = yield* startSimulator(cwd, "--firmware", "BASIS", "--baud", "38400")
      const found = yield* sampleline(["discover", fuel!.port, "--units", "A"], { cwd })
      assert.strictEqual(found.code, 1)
      assert.strictEqual(found.stdout, "")
      assert.include(
        found.stderr,
        `--device NAME=${
          fuel!.port
        },unit=A,baud=38400 cannot be recorded: the device (unit A) did not send its frame format`
      )
      assert.include(found.stderr, "Give its columns in that order, such as columns=Temp:°C,Flow:SCCM,Total,Gas:text")
      assert.include(found.stderr, "no device was found that can be recorded")
      const json = yield* sampleline(["discover", fuel!.port, "--units", "A", "--json"], { cwd })
      assert.include(JSON.parse(json.stdout)[0].problem, "did not send its frame format")

      const columns = "Temp:°C,Flow:SCCM,Total:SCC,Setpt:SCCM,Valve:%,Gas:text"
      fs.writeFileSync(`${cwd}/b.yaml`, `devices: { fuel: { port: ${fuel!.port}, columns: [${columns}] } }`)
      const bare = yield* sampleline(["record", "--device", fuel!.flag, "--duration", "200ms", "--out", "a.csv"], {
        cwd
      })
      assert.include(bare.stderr, "fuel (unit A) did not send its frame format".replace("fuel", fuel!.name))
      for (const args of [["--device", `fuel=${fuel!.port},columns=${columns}`], ["--config", "b.yaml"]]) {
        const { code, stderr, stdout } = yield* sampleline(["record", ...args, "--duration", "200ms", "--out", "-"], {
          cwd
        })
        assert.strictEqual(code, 0, stderr)
        assert.match(stdout, /"Temp":2\d(\.\d+)?,"Flow":.*"Gas":"N2"/)
      }
    }))

  it.effect("tells an echo from a device", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const server = net.createServer((socket) => void socket.pipe(socket).on("error", () => {}))
      yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      const port = `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`
      const { code, stderr, stdout } = yield* sampleline(["discover", port, "--units", "A-B"], { cwd })
      server.close()
      assert.strictEqual(code, 1)
      assert.strictEqual(stdout, "")
      assert.include(stderr, `${port}: no device answers, but the port echoes what is sent`)
    }))

  it.effect("tells what was heard where no device answers", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const server = net.createServer((socket) =>
        void socket.on("data", () => socket.write("HELLO\r")).on("error", () => {})
      )
      yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      const port = `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`
      const { code, stderr } = yield* sampleline(["discover", port, "--units", "A"], { cwd })
      server.close()
      assert.strictEqual(code, 1)
      assert.include(stderr, `${port}: no device answers, but "HELLO" was heard; check --units and --baud`)
    }))

  it.effect("reports a device that was left streaming, however slowly", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices: [fuel] } = yield* startSimulator(cwd, "--devices", "1", "--tcp", "0")
      const streaming = yield* startSampleline(
        ["record", "--stream", "--rate", "2", "--batch-size", "1", "--device", fuel!.flag, "--out", "-"],
        { cwd }
      )
      yield* streaming.printed("Mass_Flow")
      streaming.process.kill("SIGKILL")
      yield* streaming.exit
      const { code, stderr } = yield* sampleline(["discover", fuel!.port, "--units", "A-F"], { cwd })
      assert.strictEqual(code, 1)
      assert.include(stderr, `${fuel!.port}: a device is streaming, so its unit id cannot be found`)
    }))
})
