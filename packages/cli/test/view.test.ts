/**
 * `record --view` and `sampleline view`: the page is there, and what it changes is in the recording.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { eventsBeside } from "../../sinks/test/events.ts"
import { ask, json, states } from "../../view/test/http.ts"
import { readRange } from "../../view/test/rangeOf.ts"
import { withViewPort } from "../src/viewAddress.ts"
import { sampleline, startSampleline, tempFolder } from "./process.ts"
import { rowsOf } from "./recordings.ts"

/** The address in a text. */
const urlIn = (text: string): string => /http:\/\/[\w.]+:\d+\//.exec(text)?.[0] ?? assert.fail(`no address in ${text}`)

describe("the page", () => {
  it("has a port that may be left out", () => {
    assert.deepStrictEqual(withViewPort(["record", "--view", "--out", "run.csv"]), [
      "record",
      "--view=auto",
      "--out",
      "run.csv"
    ])
    assert.deepStrictEqual(withViewPort(["--view", "8080", "--view=1", "--view"]), [
      "--view",
      "8080",
      "--view=1",
      "--view=auto"
    ])
  })

  it.live("of a recording has its values and outputs, puts marks into it, and tells its end; later the file is viewed", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const env = { ...process.env, XDG_CACHE_HOME: cwd }
      const recorder = yield* startSampleline(
        "record --simulate 2 --rate 50 --flush-interval 50ms --out run.csv --view --plain".split(" "),
        { cwd, env }
      )
      yield* recorder.printed("the page is at ")
      const url = urlIn(recorder.stderr())
      const page = yield* states(url)
      const state = yield* page.until(({ outputs }) => outputs.length > 0 && outputs[0].rows > 20)
      assert.deepStrictEqual(state.devices.map(({ name }: { name: string }) => name), ["sim1", "sim2"])
      assert.strictEqual(state.outputs[0].name, "run.csv")
      assert.strictEqual(json(yield* ask(url, "/api/view")).title, "run.csv")
      assert.include((yield* ask(url, "/")).body.toString(), "<!doctype html>")

      const marked = yield* ask(url, "/api/mark", {
        method: "POST",
        headers: { "content-type": "application/json", origin: url.slice(0, -1) },
        body: JSON.stringify({ text: "valve <b>A</b> opened" })
      })
      assert.strictEqual(marked.status, 200)
      recorder.process.kill("SIGINT")
      const { ended } = yield* page.until(({ ended }) => ended !== null)
      assert.strictEqual(ended.cause, "stopped")
      assert.strictEqual(yield* recorder.exit, 0, recorder.stderr())
      assert.notInclude(recorder.stderr(), "the page failed")
      const events = eventsBeside(`${cwd}/run.csv`)
      assert.isTrue(events.some(({ detail, event }) => event === "Marker" && detail === "valve <b>A</b> opened"))

      const before = fs.readFileSync(`${cwd}/run.csv`)
      const viewer = yield* startSampleline(["view", "run.csv", "--port", "0"], { cwd, env })
      yield* viewer.printed("/\n")
      const file = urlIn(viewer.stdout())
      yield* (yield* states(file)).until(({ progress }) => progress === null)
      const { from, series, until } = json(yield* ask(file, "/api/view"))
      const pressure = series.find((one: any) => one.device === "sim1" && one.field === "Abs_Press")
      const { series: [read] } = readRange(
        (yield* ask(file, `/api/range?from=${from}&until=${until}&points=2000&series=${pressure.id}`)).body
      )
      assert.deepStrictEqual(
        read!.values,
        rowsOf(`${cwd}/run.csv`).filter((row) => row["device"] === "sim1").map((row) => Number(row["Abs_Press"]))
      )
      viewer.process.kill("SIGINT")
      assert.strictEqual(yield* viewer.exit, 0, viewer.stderr())
      assert.deepStrictEqual(fs.readFileSync(`${cwd}/run.csv`), before)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("for others has a token that is printed once, and is not in the log", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const recorder = yield* startSampleline(
        "record --simulate 1 --out run.csv --view 0 --view-host localhost --log-level debug".split(" "),
        { cwd }
      )
      yield* recorder.printed("#token=")
      const [, token = ""] = /#token=(\S+)/.exec(recorder.stderr())!
      assert.strictEqual(token.length, 22)
      const url = urlIn(recorder.stderr())
      assert.strictEqual((yield* ask(url, "/api/view")).status, 401)
      recorder.process.kill("SIGINT")
      yield* recorder.exit
      assert.strictEqual(recorder.stderr().split(token).length, 2)
      assert.notInclude(recorder.stdout(), token)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("that cannot be shown says why", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const [missing, port, host] = yield* Effect.all([
        sampleline(["view", "nothing.csv"], { cwd }),
        sampleline("record --simulate 1 --out run.csv --view 99999".split(" "), { cwd }),
        sampleline("record --simulate 1 --out run.csv --view 0 --view-host 192.0.2.1".split(" "), { cwd })
      ], { concurrency: 2 })
      assert.strictEqual(missing.code, 1)
      assert.match(missing.stderr, /^sampleline: nothing\.csv: there is no such file; check its name\n$/)
      assert.strictEqual(port.code, 2)
      assert.include(port.stderr, "a port such as 8080, or nothing")
      assert.strictEqual(host.code, 1)
      assert.include(host.stderr, "does not have this address")
      assert.notInclude(host.stderr, "goes on without it")
      assert.isFalse(fs.existsSync(`${cwd}/run.csv`))
    }).pipe(Effect.provide(NodeServices.layer)))
})
