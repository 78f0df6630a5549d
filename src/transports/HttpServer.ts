import { readFileSync } from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import { Context, Data, Effect, Layer, type Scope } from "effect"
import { Settings, type SettingsShape } from "../Settings.ts"
import { Listeners } from "./Listeners.ts"

/** The listener can't be opened; the message names the remedy. */
export class ListenError extends Data.TaggedError("ListenError")<{
  readonly reason: "InUse" | "Denied" | "NoSuchAddress" | "Tls" | "Other"
  readonly message: string
}> {}

/** A request has this long for its headers, and this long as a whole. */
const HEADERS_MS = 10_000
const REQUEST_MS = 30_000
const KEEP_ALIVE_MS = 5000
const HEADER_BYTES = 16 * 1024
/** How often Node looks for requests that are too slow. */
const CHECK_MS = 2000
/** TCP connections, sockets and requests together: below the usual limit of 20,000 descriptors, with room for files. */
const MAX_CONNECTIONS = 18_000
/** Requests under way have this long when the listener closes. */
const CLOSE_MS = 1000

const OPTIONS: Http.ServerOptions = {
  headersTimeout: HEADERS_MS,
  requestTimeout: REQUEST_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: CHECK_MS,
  maxHeaderSize: HEADER_BYTES,
  insecureHTTPParser: false,
  noDelay: true
}

const tlsError = (message: string): ListenError => new ListenError({ reason: "Tls", message })

const readPem = (setting: string, path: string): Effect.Effect<Buffer, ListenError> =>
  Effect.try({
    try: () => readFileSync(path),
    catch: () => tlsError(`${setting}=${path} can't be read: check the path and its permissions`)
  })

const listenError = (code: string | undefined, { host, port }: SettingsShape["listen"]): ListenError => {
  const where = `${host.includes(":") ? `[${host}]` : host}:${port}`
  switch (code) {
    case "EADDRINUSE":
      return new ListenError({
        reason: "InUse",
        message: `${where} is in use. Choose another port: LISTEN_ADDR=127.0.0.1:${port + 1 > 65535 ? 8444 : port + 1} npm start`
      })
    case "EACCES":
      return new ListenError({
        reason: "Denied",
        message: `not allowed to listen on ${where}. Choose a port above 1023: LISTEN_ADDR=127.0.0.1:8444 npm start`
      })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new ListenError({
        reason: "NoSuchAddress",
        message: `${host} is no address of this machine. Use one that is: LISTEN_ADDR=127.0.0.1:8444 npm start`
      })
    default:
      return new ListenError({ reason: "Other", message: `can't listen on ${where} (${code ?? "unknown reason"})` })
  }
}

/** The listener for REST and upgrades. `server` gets nothing until `listen`, so that both can be attached before. */
export class HttpServer extends Context.Service<
  HttpServer,
  {
    readonly server: Http.Server | Https.Server
    readonly secure: boolean
    /** Opens the port (0: any) and says which one it got. Closed with the layer's scope. */
    readonly listen: Effect.Effect<{ readonly host: string; readonly port: number }, ListenError>
    /** No new connection from now on; those that exist stay. */
    readonly stopAccepting: Effect.Effect<void>
  }
>()("trails/transports/HttpServer") {
  static readonly layer = (onRequest: Http.RequestListener): Layer.Layer<HttpServer, ListenError, Settings> =>
    Layer.effect(
      HttpServer,
      Effect.flatMap(Settings, (settings) => make(settings, onRequest))
    )
}

const make = Effect.fnUntraced(function* (
  settings: Pick<SettingsShape, "listen" | "tls">,
  onRequest: Http.RequestListener
): Effect.fn.Return<HttpServer["Service"], ListenError, Scope.Scope> {
  const { tls } = settings
  const server = tls === null ? Http.createServer(OPTIONS, onRequest) : yield* secureServer(tls, onRequest)
  const listeners = new Listeners(server, MAX_CONNECTIONS)
  const stopAccepting = Effect.sync(() => {
    if (!server.listening) return
    listeners.close()
    server.closeIdleConnections()
  })
  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      // Requests under way have a moment, then they are cut. Upgraded sockets are their owner's to close.
      const cut = setTimeout(() => server.closeAllConnections(), CLOSE_MS)
      const give = setTimeout(done, 2 * CLOSE_MS)
      function done() {
        clearTimeout(cut)
        clearTimeout(give)
        resume(Effect.void)
      }
      listeners.whenEmpty(done)
    })
  )
  yield* Effect.addFinalizer(() => stopAccepting)
  const listen = Effect.callback<{ readonly host: string; readonly port: number }, ListenError>((resume) => {
    listeners.open(settings.listen.host, settings.listen.port).then(
      (place) => resume(Effect.succeed(place)),
      (error: NodeJS.ErrnoException) => {
        listeners.close()
        resume(Effect.fail(listenError(error.code, settings.listen)))
      }
    )
  })
  return { server, secure: tls !== null, listen, stopAccepting }
})

const secureServer = Effect.fnUntraced(function* (
  tls: NonNullable<SettingsShape["tls"]>,
  onRequest: Http.RequestListener
): Effect.fn.Return<Https.Server, ListenError> {
  const cert = yield* readPem("TRAILS_TLS_CERT_FILE", tls.certFile)
  const key = yield* readPem("TRAILS_TLS_KEY_FILE", tls.keyFile)
  return yield* Effect.try({
    try: () =>
      Https.createServer({ ...OPTIONS, cert, key, minVersion: "TLSv1.2", handshakeTimeout: HEADERS_MS }, onRequest),
    // OpenSSL's own words may quote the file: they are not repeated.
    catch: () =>
      tlsError(
        `TRAILS_TLS_CERT_FILE=${tls.certFile} and TRAILS_TLS_KEY_FILE=${tls.keyFile} are no pair of PEM files: ` +
          "the first holds the certificate chain, the second its private key without a passphrase"
      )
  })
})
