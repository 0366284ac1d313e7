// Api: requests to our own server and its refusals. Knows no page and no agent.

/** A refusal (RFC 9457), or no answer at all (`status` 0). */
export class Problem extends Error {
  constructor(status, body = {}, retryAfterMs = null) {
    super(body.detail || body.title || (status ? `The server responded with ${status}.` : "No response from the server."));
    this.status = status;
    this.code = body.code ?? "";
    this.retryAfterMs = body.retry_after_ms ?? retryAfterMs;
  }
}

/** The answer's body, null if it has none. Throws Problem. */
export async function ask(path, { method = "GET", body, headers = {}, signal } = {}) {
  const response = await send(path, {
    method,
    signal,
    headers: {
      Accept: "application/json",
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  try {
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    throw new Problem(0, { detail: `The response was interrupted: ${error.message}` });
  }
}

/** The response, if it is no refusal. Throws Problem. */
export async function send(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
  } catch (error) {
    throw new Problem(0, { detail: `No response from the server: ${error.message}` });
  }
  if (response.ok) return response;
  const seconds = Number(response.headers.get("Retry-After"));
  const body = await response.json().catch(() => ({}));
  throw new Problem(response.status, body, seconds ? seconds * 1000 : null);
}

/** A UUID v4. `crypto.randomUUID` is missing where a page came over plain HTTP from elsewhere. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
