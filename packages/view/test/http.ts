/**
 * What a page asks of its server.
 */
import { Effect, Queue } from "effect"
import * as http from "node:http"

export interface Reply {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

export interface Request {
  readonly method?: string
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
}

export const ask = (url: string, path: string, { body, headers, method }: Request = {}): Effect.Effect<Reply> =>
  Effect.callback<Reply>((resume) => {
    const request = http.request(new URL(path, url), { method, headers, agent: false }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on(
        "end",
        () =>
          resume(
            Effect.succeed({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) })
          )
      )
    })
    request.on("error", (error) => resume(Effect.die(error)))
    request.end(body)
  })

export const json = ({ body }: Reply) => JSON.parse(body.toString())

/** States as a page hears them. */
export const states = (url: string) =>
  Effect.gen(function*() {
    const heard = yield* Queue.unbounded<any>()
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        http.get(new URL("/live", url), { agent: false }, (response) => {
          let text = ""
          response.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk
            const messages = text.split("\n\n")
            text = messages.pop()!
            for (const message of messages) {
              Queue.offerUnsafe(heard, JSON.parse(message.replace(/^event: state\ndata: /, "")))
            }
          })
          response.on("error", () => {})
        }).on("error", () => {})
      ),
      (request) => Effect.sync(() => request.destroy())
    )
    return {
      until: (isIt: (state: any) => boolean): Effect.Effect<any> => Effect.repeat(Queue.take(heard), { until: isIt })
    }
  })
