import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { SerialPort } from "serialport"
import { sampleline, startSampleline, tempFolder } from "./process.ts"

/** Another program: knows nothing of ours but the serial port. Gives the lines until the port has been silent for 200 ms. */
const ask = (port: SerialPort, command: string) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    let text = ""
    const done = () => {
      port.off("data", onData)
      resume(Effect.succeed(text.split("\r").slice(0, -1)))
    }
    let timer = setTimeout(done, 2000)
    const onData = (chunk: Buffer) => {
      text += chunk.toString("latin1")
      clearTimeout(timer)
      timer = setTimeout(done, 200)
    }
    port.on("data", onData)
    port.write(`${command}\r`)
  })

const open = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<SerialPort, Error>((resume) => {
      const port = new SerialPort({ path, baudRate: 19200 }, (error) =>
        resume(error ? Effect.fail(error) : Effect.succeed(port)))
    }),
    (port) =>
      Effect.callback<void>((resume) => port.close(() => resume(Effect.void)))
  )

it.layer(NodeServices.layer, { excludeTestServices: true })("sampleline simulate", (it) => {
  it.effect(
    "serves devices that a program with serialport alone can identify and poll, until Ctrl-C",
    () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const running = yield* startSampleline(["simulate", "--devices", "2"], { cwd })
        yield* running.printed("serving until Ctrl-C")
        const served = running.stdout().trim().split("\n").map((line) => line.split(" "))
        assert.deepStrictEqual(served.map(([name, unit]) => [name, unit]), [["sim1", "A"], ["sim2", "A"]])

        for (const [, unit, path] of served) {
          yield* Effect.scoped(Effect.gen(function*() {
            const port = yield* open(path!)
            assert.match((yield* ask(port, `${unit}VE`)).join(), /^A {3}10v20/)
            const made = yield* ask(port, `${unit}??M*`)
            assert.isTrue(made.some((row) => /^A M\d\d Serial Number \d+$/.test(row)))
            const table = yield* ask(port, `${unit}??D*`)
            assert.match(table[0]!, /^A D00 ID_ NAME_/)
            assert.isTrue(table.some((row) => row.includes("Mass Flow Setpt")))
            const [line] = yield* ask(port, unit!)
            assert.match(line!, /^A( [+-]\d{3}\.\d\d){5} +\w+$/)
            assert.deepStrictEqual(
              yield* ask(port, `${unit}S 123.45`).pipe(Effect.map((lines) => lines[0]!.split(/ +/)[5])),
              "+123.45"
            )
            assert.deepStrictEqual(yield* ask(port, `${unit}NONSENSE`), ["A ?"])
          }))
        }
        running.process.kill("SIGINT")
        assert.strictEqual(yield* running.exit, 0)
      })
  )

  it.effect("serves several units behind one TCP port, and record takes them from there", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(["simulate", "--devices", "2", "--units", "2", "--tcp", "0"], { cwd })
      yield* running.printed("serving until Ctrl-C")
      const served = running.stdout().trim().split("\n").map((line) => line.split(" "))
      assert.deepStrictEqual(served.map(([name, unit]) => [name, unit]), [["sim1", "A"], ["sim2", "B"]])
      assert.match(served[0]![2]!, /^tcp:\/\/127\.0\.0\.1:\d+$/)
      const devices = served.flatMap(([name, unit, port]) => ["--device", `${name}=${port},unit=${unit}`])
      const result = yield* sampleline(["record", ...devices, "--duration", "500ms", "--out", "a.csv", "--json"], {
        cwd
      })
      assert.strictEqual(result.code, 0, result.stderr)
      const { samplesEmitted, ticks } = JSON.parse(result.stdout)
      assert.strictEqual(samplesEmitted, 2 * ticks)
    }))
})
