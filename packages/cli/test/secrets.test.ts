import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { withoutSecrets } from "../src/secrets.ts"
import { sampleline, tempFolder } from "./process.ts"

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("passwords", (it) => {
  it.effect("in the name of a port are never printed", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(`${cwd}/bench.yaml`, "devices: { a: { port: 'tcp://me:s3cret@127.0.0.1' } }\nout: a.csv\n")
      const expectNoSecret = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
        const { code, stderr, stdout } = yield* sampleline(args, { cwd })
        assert.notStrictEqual(code, 0, args.join(" "))
        assert.notInclude(stderr + stdout, "s3cret", args.join(" "))
      })
      yield* Effect.forEach(
        [
          ["discover", "tcp://me:s3cret@127.0.0.1:1"],
          ["discover", "postgres://me:s3cret@h/d", "--units", "A"],
          ["record", "--device", "a=tcp://me:s3cret@127.0.0.1:1", "--out", "a.csv"],
          ["record", "--device", "a=postgres://me:s3cret@h/d", "--out", "a.csv"],
          ["record", "--config", "bench.yaml"],
          ["record", "--simulate", "1", "--out", "host=h password=s3cret"],
          ["record", "--simulate", "1", "--out", "host=h password='s3cret.csv'"],
          ["record", "--simulate", "1", "--out", "dbname=lab password=s3cret", "--out", "dbname=lab password=s3cret"],
          ["check", "--simulate", "1", "--out", "user=me password=s3cret"],
          ["record", "--simulate", "1", "--table", "password=s3cret", "--out", "a.db"]
        ],
        expectNoSecret,
        { concurrency: 3, discard: true }
      )
    }))

  it.each([
    ["postgres://me:s3cret@host:5432/lab?password=s3cret", "postgres://host:5432/lab"],
    ["cannot open tcp://me:s3cret@10.0.0.2:4001", "cannot open tcp://10.0.0.2:4001"],
    ["postgres:me:s3cret@host/lab", "postgres:host/lab"],
    ["me:s3cret@host/lab", "...@host/lab"],
    ["host=h password=s3cret dbname=lab", "host=h password=... dbname=lab"],
    ["host=h PASSWORD = 's3c\\'ret s3cret' user=me", "host=h PASSWORD = ... user=me"],
    ["--out \"host=h password=me:s3cret@x\": no", "--out \"host=h password=... no"],
    ["PGPASSWORD=s3cret", "PGPASSWORD=..."],
    ["host=h password=ab's3cret user=me", "host=h password=... user=me"],
    ["host=h password=ab\"s3cret", "host=h password=..."],
    ["host=h password=s3\\ cret user=me", "host=h password=... user=me"],
    ["host=h;password=s3cret", "host=h;password=..."],
    ["host=h,password=s3cret", "host=h,password=..."],
    ["sslpassword=\"s3 cret\"", "sslpassword=..."],
    ["postgres://me:password=s3cret@host/lab", "postgres://host/lab"],
    ["fuel: no reply within 500 ms", "fuel: no reply within 500 ms"]
  ])("are cut out of %s", (text, expected) => {
    assert.strictEqual(withoutSecrets(text), expected)
  })

  it.each(["x", ":", "@", "a:", "a://", "a.", "postgres:", "x@:", "password ", "password=", "password='"])(
    "are looked for in a second in 1 MB of %s",
    (part) => {
      const text = part.repeat(1_000_000 / part.length)
      const before = performance.now()
      withoutSecrets(text)
      assert.isBelow(performance.now() - before, 1000)
    }
  )
})
