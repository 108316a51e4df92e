import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { SerialPort } from "serialport"
import { sampleline, startSimulator, tempFolder } from "./process.ts"

/**
 * Another program, which knows only the serial port. Gives the lines that answer a command. The device answers in order, so the
 * answer is complete when the device has refused a second command.
 */
const ask = (port: SerialPort, command: string, isRefused = false) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    let text = ""
    const onData = (chunk: Buffer) => {
      text += chunk.toString("latin1")
      const end = text.indexOf(REFUSED, isRefused ? REFUSED.length : 0)
      if (end < 0) return
      port.off("data", onData)
      resume(Effect.succeed(text.slice(0, end).split("\r").slice(0, -1)))
    }
    port.on("data", onData)
    port.write(`${command}\r`)
    port.write(`${command[0]}WHATEVER\r`)
  })

const REFUSED = "?\r"

const open = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<SerialPort, Error>((resume) => {
      const port = new SerialPort({ path, baudRate: 19200 }, (error) =>
        resume(error ? Effect.fail(error) : Effect.succeed(port)))
    }),
    (port) =>
      Effect.callback<void>((resume) => port.close(() => resume(Effect.void)))
  )

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("sampleline simulate", (it) => {
  it.effect(
    "serves devices until Ctrl-C that any program with a serial port can identify and poll",
    () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const { devices, running } = yield* startSimulator(cwd, "--devices", "2")
        assert.deepStrictEqual(devices.map(({ name, unit }) => [name, unit]), [["sim1", "A"], ["sim2", "A"]])

        for (const { port: path, unit } of devices) {
          yield* Effect.scoped(Effect.gen(function*() {
            const port = yield* open(path)
            assert.match((yield* ask(port, `${unit}VE`)).join(), /^A {3}10v20/)
            const made = yield* ask(port, `${unit}??M*`)
            assert.isTrue(made.some((row) => /^A {2}M\d\d Serial Number \d+$/.test(row)))
            const table = yield* ask(port, `${unit}??D*`)
            assert.match(table[0]!, /^A D00 ID_ NAME_/)
            assert.isTrue(table.some((row) => row.includes("Mass Flow Setpt")))
            const [line] = yield* ask(port, unit)
            assert.match(line!, /^A( [+-]\d{3}\.\d\d){5} +\w+$/)
            assert.deepStrictEqual(
              yield* ask(port, `${unit}S 123.45`).pipe(Effect.map((lines) => lines[0]!.split(/ +/)[5])),
              "+123.45"
            )
            assert.deepStrictEqual(yield* ask(port, `${unit}NONSENSE`, true), ["?"])
          }))
        }
        running.process.kill("SIGINT")
        assert.strictEqual(yield* running.exit, 0)
      })
  )

  it.effect("serves devices that answer at one baud rate only, where record finds them", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices: [fuel] } = yield* startSimulator(cwd, "--baud", "115200")
      const recordAt = (baud: string) =>
        sampleline(["record", "--device", `${fuel!.flag},baud=${baud}`, "--duration", "200ms", "--out", "a.csv"], {
          cwd
        })
      assert.include((yield* recordAt("9600")).stderr, "did not answer at 9600 baud")
      const { code, stderr } = yield* recordAt("115200")
      assert.strictEqual(code, 0, stderr)
    }))

  it.effect("serves several units behind one TCP port, where record finds them", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices } = yield* startSimulator(cwd, "--devices", "2", "--units", "2", "--tcp", "0")
      assert.deepStrictEqual(devices.map(({ name, unit }) => [name, unit]), [["sim1", "A"], ["sim2", "B"]])
      assert.match(devices[0]!.port, /^tcp:\/\/127\.0\.0\.1:\d+$/)
      const flags = devices.flatMap(({ flag }) => ["--device", flag])
      const result = yield* sampleline(["record", ...flags, "--duration", "200ms", "--out", "a.csv", "--json"], { cwd })
      assert.strictEqual(result.code, 0, result.stderr)
      const { samplesEmitted, ticks } = JSON.parse(result.stdout)
      assert.strictEqual(samplesEmitted, 2 * ticks)
    }))
})
