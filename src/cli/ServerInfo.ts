import type { Api } from "./Api.ts"

/** What `GET /api/v1/server` says (docs/rest.md). It proves nothing of the key. */
export interface ServerInfo {
  readonly version: string
  readonly instance: string
  readonly level: string
  readonly admission: string
  readonly serverPubKey: string
  /** Epoch milliseconds. */
  readonly serverTime: number
  readonly endpoint: string | null
  readonly storage: string
}

export const readServerInfo = async (api: Api, timeoutMs?: number): Promise<ServerInfo> =>
  (await api.get("server", {}, timeoutMs === undefined ? {} : { timeoutMs })).json as ServerInfo
