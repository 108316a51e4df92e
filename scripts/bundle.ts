/**
 * Builds what the command `sampleline` runs: `packages/cli/dist`, a few files instead of the hundreds of modules that it is
 * written in, because finding and loading those is most of the time that a command takes to begin. The drivers stay packages of
 * their own, loaded when they are needed; what is built in stands with its licence in `dist/LICENSES.txt`.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { build } from "rolldown"

const root = path.join(import.meta.dirname, "..")
const dist = path.join(root, "packages/cli/dist")
const BUILT_IN = /^(?:effect|@effect\/[^/]+|@sampleline\/[^/]+)(?:\/|$)/

rmSync(dist, { recursive: true, force: true })
const { output } = await build({
  input: {
    main: path.join(root, "packages/cli/src/main.ts"),
    parquetWorker: path.join(root, "packages/sinks/src/internal/parquetWorker.ts")
  },
  platform: "node",
  external: (id) => !id.startsWith(".") && !path.isAbsolute(id) && !BUILT_IN.test(id),
  output: { dir: dist, format: "esm", chunkFileNames: "[name].js" }
})

const modules = output.flatMap((chunk) => chunk.type === "chunk" ? chunk.moduleIds : [])
const packages = new Set(modules.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0]))
const licences = [...packages].flatMap((folder) => {
  const licence = `${folder}/LICENSE`
  if (folder === undefined || !existsSync(licence)) return []
  const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"))
  return [`${name} ${version}\n\n${readFileSync(licence, "utf8").trim()}\n`]
})
writeFileSync(path.join(dist, "LICENSES.txt"), licences.join("\n---\n\n"))
