/**
 * Every code block of every README is compiled and run, in a folder of its own, as someone would who pastes it. Ports are
 * replaced by simulated ones, and minutes by seconds.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import * as Simulator from "@sampleline/alicat/Simulator"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { BIN, run, tempFolder } from "./process.ts"

const ROOT = fileURLToPath(new URL("../../..", import.meta.url))

interface Block {
  readonly language: string
  readonly code: string
}

const blocksOf = (readme: string): ReadonlyArray<Block> =>
  [...fs.readFileSync(path.join(ROOT, readme), "utf8").matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(
    ([, language = "", code = ""]) => ({ language, code })
  )

const fileName = (code: string): string =>
  /^\/\/ ([\w.-]+\.ts)\n/.exec(code)?.[1] ?? assert.fail(`a block names no file:\n${code}`)

/** The block with ports and times that a test can have. */
const adapted = (code: string, ports: ReadonlyArray<Simulator.SimulatedPort>) =>
  code
    .replaceAll(/\/dev\/ttyUSB(\d)/g, (_, n: string) => ports[Number(n)]!.port)
    .replaceAll(/\b(?:60|10)s\b/g, "1s")
    .replaceAll("60 seconds", "1 second")

const READMES = [
  "README.md",
  ...fs.readdirSync(path.join(ROOT, "packages")).map((name) => `packages/${name}/README.md`)
]

it.layer(NodeServices.layer, { excludeTestServices: true })("the code blocks", (it) => {
  it.effect.each(READMES)("of %s compile and run", (readme) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const ports = yield* Simulator.make({ devices: 2 })
      fs.symlinkSync(path.join(ROOT, "node_modules"), `${cwd}/node_modules`)
      fs.writeFileSync(`${cwd}/package.json`, "{ \"type\": \"module\" }")
      const env = { ...process.env, PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"]}` }
      const expectSuccess = Effect.fnUntraced(function*(command: string, args: ReadonlyArray<string>, folder = cwd) {
        const result = yield* run(command, args, { cwd: folder, env })
        assert.strictEqual(result.code, 0, `${command} ${args.join(" ")}\n${result.stdout}\n${result.stderr}`)
        return result
      })

      const blocks = blocksOf(readme)
      assert.isAbove(blocks.length, 0)
      const programs = blocks.filter((block) => block.language === "ts").map(({ code }) => fileName(code))
      for (const { code, language } of blocks) {
        if (language === "ts") fs.writeFileSync(`${cwd}/${fileName(code)}`, adapted(code, ports))
      }
      if (programs.length > 0) {
        fs.writeFileSync(
          `${cwd}/tsconfig.json`,
          JSON.stringify({
            extends: path.join(ROOT, "tsconfig.json"),
            compilerOptions: { typeRoots: ["node_modules/@types"] },
            include: [],
            files: programs
          })
        )
        yield* expectSuccess(process.execPath, [
          path.join(ROOT, "node_modules/typescript/bin/tsc"),
          "-p",
          "tsconfig.json"
        ])
      }
      for (const program of programs) {
        const args = program.endsWith(".test.ts")
          ? [path.join(ROOT, "node_modules/vitest/vitest.mjs"), "run", program]
          : [program]
        yield* expectSuccess(process.execPath, args)
      }
      for (const { code } of blocks.filter((block) => block.language === "sh")) {
        for (const line of code.trim().split("\n")) {
          if (line === "npm ci && npm test") continue // this very run
          if (line === "npm ci && npm run demo") {
            const demo = yield* expectSuccess("npm", ["run", "demo"], ROOT)
            for (
              const text of [
                "samples in ",
                "demo/run.csv: ",
                "\nsim1,A,",
                "{\"device\":\"sim2\""
              ]
            ) {
              assert.include(demo.stdout, text)
            }
          } else {
            yield* expectSuccess("sh", [
              "-c",
              adapted(line, ports).replace("npx sampleline", `"${process.execPath}" "${BIN}"`)
            ])
          }
        }
      }
      assert.deepStrictEqual(blocks.filter(({ language }) => language !== "ts" && language !== "sh"), [])
      if (readme === "README.md") {
        const files = ["run.csv", "run.jsonl", "live.jsonl", "library.csv", "run.log"]
        assert.deepStrictEqual(files.filter((file) => fs.statSync(`${cwd}/${file}`).size === 0), [])
      }
    }))
})
