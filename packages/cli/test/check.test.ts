/**
 * `sampleline check` with simulated devices, real files and a real Postgres server.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import * as Simulator from "@sampleline/alicat/Simulator"
import { Effect, Layer, Redacted } from "effect"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import { DatabaseSync } from "node:sqlite"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { sampleline, tempFolder } from "./process.ts"

const layer = Layer.merge(NodeServices.layer, PostgresServer.layer)

it.layer(layer, { excludeTestServices: true, concurrent: true, timeout: "60 seconds" })("sampleline check", (it) => {
  const check = (cwd: string, args: string, env: NodeJS.ProcessEnv = {}) =>
    sampleline(["check", ...args.split(" ")], { cwd, env: { ...process.env, ...env } })

  it.effect("prints a reading of each device with its units, and each output, and writes nothing", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stderr, stdout } = yield* check(cwd, "--simulate 2 --out new/run.csv --out run.db --out -")
      assert.strictEqual(code, 0, stderr)
      const lines = stdout.trimEnd().split("\n")
      assert.strictEqual(lines.length, 5)
      assert.match(lines[0]!, /^sim1: Abs_Press [\d.]+ PSIA, Flow_Temp [\d.]+ .*, Mass_Flow [\d.-]+ SCCM, .*Gas \w+/)
      assert.match(lines[1]!, /^sim2: /)
      assert.deepStrictEqual(lines.slice(2), ["new/run.csv: ok", "run.db: ok", "-: ok"])
      assert.deepStrictEqual(fs.readdirSync(cwd), [])
    }))

  it.effect("tells everything that is wrong, and still reads the other devices", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const [fuel, air] = yield* Simulator.make({ devices: 2, units: 2, tcp: 0 })
      fs.writeFileSync(`${cwd}/exists.csv`, "")
      fs.writeFileSync(
        `${cwd}/bench.yaml`,
        JSON.stringify({
          devices: {
            fuel: { port: fuel!.port, unit: fuel!.unit },
            air: { port: air!.port, unit: "Q" },
            none: "/dev/no-such-tty"
          },
          out: ["exists.csv", "new.csv", "./new.csv", "run.xlsx", "postgres://me:s3cret@127.0.0.1:1/lab"],
          alarms: ["none.Mass_Flow > 1", "zz.Mass_Flow > 1"]
        })
      )
      const before = fs.readdirSync(cwd)
      const { code, stderr, stdout } = yield* check(cwd, "--config bench.yaml --quiet")
      assert.strictEqual(code, 1)
      assert.match(stdout, /^fuel: Abs_Press .*\nnew\.csv: ok\n$/)
      const problems = stderr.trimEnd().split("\n")
      for (
        const [at, text] of [
          "air: cannot open",
          "none: cannot open /dev/no-such-tty: no such port",
          "exists.csv: it already exists",
          "--out ./new.csv is given twice",
          "--out run.xlsx: unknown file extension",
          "check that the server runs there",
          "alarm \"zz.Mass_Flow > 1\": there is no device \"zz\"; use fuel, air, none"
        ].entries()
      ) {
        assert.include(problems[at], text)
        assert.isTrue(problems[at]?.startsWith("sampleline: "))
      }
      // Two more lines show the place in the alarm.
      assert.strictEqual(problems.length, 7 + 2)
      assert.notInclude(stderr, "s3cret")
      assert.deepStrictEqual(fs.readdirSync(cwd), before)
    }))

  /** A device without tables. */
  const deviceSending = Effect.fnUntraced(function*(reading: string) {
    const server = net.createServer((socket) => {
      socket.on("data", (bytes) => socket.write(String(bytes) === "A\r" ? `${reading}\r` : "?\r"))
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
    yield* Effect.promise(() => once(server.listen(0, "127.0.0.1"), "listening"))
    return `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`
  })

  it.effect("tells a field that makes no sense", () =>
    Effect.gen(function*() {
      const port = yield* deviceSending("A +24.57 junk N2")
      const args = `--device fuel=${port},columns=Temp:C,Flow:SCCM,Gas:text --out run.csv --quiet`
      const { stdout } = yield* check(yield* tempFolder, args)
      assert.include(
        stdout,
        "fuel: Temp 24.57 °C, Flow made no sense (expected a number for Flow instead of \"junk\"), Gas N2\n"
      )
      const asJson = yield* check(yield* tempFolder, `${args} --json`)
      assert.deepStrictEqual(JSON.parse(asJson.stdout).devices[0].reading.failures, [
        { field: "Flow", detail: "a number for Flow instead of \"junk\"" }
      ])
    }))

  it.effect("tells how many columns were given if a reading holds more", () =>
    Effect.gen(function*() {
      const port = yield* deviceSending("A +24.57 +100.0 +55.13 N2")
      const { code, stderr } = yield* check(
        yield* tempFolder,
        `--device fuel=${port},columns=Temp:C,Flow:SCCM --out run.csv --quiet`
      )
      assert.strictEqual(code, 1)
      assert.include(
        stderr,
        "expected a status code after the 2 columns, not \"+55.13\": a column is missing, or two lines ran into one"
      )
    }))

  it.effect("checks the columns of an existing file against the devices", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(`${cwd}/old.csv`, "time,value\n1,2\n")
      const { code, stderr } = yield* check(cwd, "--simulate 1 --append --out old.csv --quiet")
      assert.strictEqual(code, 1)
      assert.include(stderr, "its header does not match")
      assert.strictEqual(fs.readFileSync(`${cwd}/old.csv`, "utf8"), "time,value\n1,2\n")
    }))

  it.effect("refuses a table that takes no measured value, as record does before it makes a file", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const database = new DatabaseSync(`${cwd}/old.db`)
      database.exec("CREATE TABLE samples (DEVICE TEXT, received_at DATETIME)")
      database.close()
      const args = "--simulate 1 --quiet --append --out new.csv --out old.db".split(" ")
      for (const command of [["check"], ["record", "--duration", "1s"]]) {
        const { code, stderr } = yield* sampleline([...command, ...args], { cwd })
        assert.strictEqual(code, 1)
        assert.include(stderr, "its table samples has no column for a measured value (Abs_Press, ")
        assert.deepStrictEqual(fs.readdirSync(cwd), ["old.db"])
      }
    }))

  it.effect("takes a missing device for no problem with --allow-missing", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stderr, stdout } = yield* check(
        cwd,
        "--allow-missing --device fuel=/dev/no-such-tty --out run.csv --alarm fuel.Mass_Flow>1 --quiet"
      )
      assert.strictEqual(code, 0)
      assert.include(stderr, "(allowed by --allow-missing)")
      assert.strictEqual(stdout, "run.csv: ok\n")
    }))

  it.effect("refuses to stream from two devices on one port, and still checks the output", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const [fuel, air] = yield* Simulator.make({ devices: 2, units: 2, tcp: 0 })
      const devices = `--device fuel=${fuel!.port},unit=A --device air=${air!.port},unit=B`
      const { code, stderr, stdout } = yield* check(cwd, `--stream ${devices} --out run.csv --quiet`)
      assert.strictEqual(code, 1)
      assert.include(stderr, "expected one device to stream on")
      assert.strictEqual(stdout, "run.csv: ok\n")
    }))

  it.effect("prints one JSON object with --json", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stdout } = yield* check(cwd, "--simulate 1 --out run.csv --out run.xlsx --json")
      assert.strictEqual(code, 1)
      const { devices, outputs, problems, ready } = JSON.parse(stdout)
      assert.isFalse(ready)
      assert.deepStrictEqual(outputs, ["run.csv"])
      assert.strictEqual(problems.length, 1)
      assert.strictEqual(devices[0].identity.model, "MC-500SCCM-D")
      assert.deepInclude(devices[0].reading.fields[5], { name: "Gas", unit: null })
    }))

  it.effect("is wrong usage without an output", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* check(yield* tempFolder, "--simulate 1")
      assert.strictEqual(code, 2)
      assert.include(stderr, "no output; add --out run.csv")
    }))

  it.effect("finds a missing table in Postgres, and creates none", () =>
    Effect.gen(function*() {
      const server = yield* PostgresServer
      const database = yield* server.database
      const cwd = yield* tempFolder
      const args = `--simulate 1 --quiet --out postgres://owner@127.0.0.1:${server.address.port}/${database}`
      const env = { PGPASSWORD: Redacted.value(server.password) }
      const missing = yield* check(cwd, args, env)
      assert.strictEqual(missing.code, 1)
      assert.include(missing.stderr, "samples")
      const created = yield* check(cwd, `${args} --create-table`, env)
      assert.strictEqual(created.code, 0, created.stderr)
      const tables = yield* server.query(database, "SELECT to_regclass('samples') IS NOT NULL AS yes")
      assert.deepStrictEqual(tables, [{ yes: false }])
    }))
})
