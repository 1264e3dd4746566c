import { type Client } from 'openapi-fetch';
import type { components, paths } from './schema.js';
export type { components, operations, paths } from './schema.js';
/** What the service answers when it refuses (RFC 9457). `code` is stable, `detail` says what would be right. */
export type Problem = components['schemas']['Problem'];
/** What answers are typed by. Lists and reports come as files, too: ask for `text/csv` with `parseAs: 'text'`. */
type Media = 'application/json' | 'application/problem+json';
export type BincardClient = Client<paths, Media>;
/** A person with a password, a machine with an API key, or a token from elsewhere such as an OpenID Connect issuer. */
export type Credentials = {
    username: string;
    password: string;
} | {
    apiKey: string;
} | {
    token: string | (() => string | Promise<string>);
};
export type BincardClientOptions = Credentials & {
    /** Where the service is, e.g. `https://bincard.example.com`. */
    baseUrl: string;
    /** How often a request is sent at most while the network or the service fails for a moment; 4 unless given. */
    attempts?: number;
    /** Pause before the second attempt in milliseconds, doubled from one to the next; 250 unless given. */
    pauseMs?: number;
    /** Instead of the global `fetch`. */
    fetch?: (request: Request) => Promise<Response>;
};
/** A refusal, thrown by `orThrow`. */
export declare class BincardProblem extends Error {
    readonly problem: Problem;
    readonly status: number;
    /** Stable name of the refusal, e.g. `InsufficientStock`. */
    readonly code: string;
    constructor(problem: Problem);
}
/** The data of an answer: `const slip = await orThrow(bincard.POST(…))`. Throws `BincardProblem` if the service refused. */
export declare function orThrow<Data>(answer: Promise<{
    data?: Data;
    error?: unknown;
    response: Response;
}>): Promise<Exclude<Data, undefined>>;
/**
 * A client of the whole API, typed by its document. It signs in when it is first used, renews its token, gives every POST an
 * Idempotency-Key and sends again what may have been lost: reads, and POSTs under their key, which take effect once.
 */
export declare function createBincardClient(options: BincardClientOptions): BincardClient;
