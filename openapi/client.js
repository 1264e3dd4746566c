import createClient, {} from 'openapi-fetch';
/** A refusal, thrown by `orThrow`. */
export class BincardProblem extends Error {
    problem;
    status;
    /** Stable name of the refusal, e.g. `InsufficientStock`. */
    code;
    constructor(problem) {
        super(problem.detail);
        this.name = 'BincardProblem';
        this.problem = problem;
        this.status = problem.status;
        this.code = problem.code;
    }
}
/** The data of an answer: `const slip = await orThrow(bincard.POST(…))`. Throws `BincardProblem` if the service refused. */
export async function orThrow(answer) {
    const { data, error, response } = await answer;
    if (!response.ok)
        throw new BincardProblem(isProblem(error) ? error : strange(response, error));
    return data;
}
const isProblem = (error) => typeof error === 'object' && error !== null && 'code' in error && 'detail' in error;
/** Something between here and the service answered in its place. */
const strange = (response, error) => ({
    type: 'about:blank',
    title: response.statusText,
    status: response.status,
    code: 'NotAProblem',
    detail: typeof error === 'string' && error !== ''
        ? error.slice(0, 500)
        : `answered ${response.status} without a problem document`,
    instance: new URL(response.url).pathname
});
/**
 * A client of the whole API, typed by its document. It signs in when it is first used, renews its token, gives every POST an
 * Idempotency-Key and sends again what may have been lost: reads, and POSTs under their key, which take effect once.
 */
export function createBincardClient(options) {
    const { attempts = 4, pauseMs = 250 } = options;
    const baseUrl = options.baseUrl.replace(/\/+$/, '');
    const send = options.fetch ?? ((request) => fetch(request));
    const signIn = authorization(options, { baseUrl, send: (request) => persistently(request, { isSafe: false }) });
    return createClient({
        baseUrl,
        fetch: async (given) => {
            const request = new Request(given);
            const isPublic = new URL(request.url).pathname.includes('/v1/auth/');
            if (request.method === 'POST' && !isPublic && !request.headers.has('idempotency-key')) {
                request.headers.set('idempotency-key', crypto.randomUUID());
            }
            const isSafe = request.method === 'GET' || request.method === 'HEAD' || (request.method === 'POST' && !isPublic);
            if (isPublic)
                return persistently(request, { isSafe });
            await signIn.authorize(request.headers);
            const again = request.clone();
            const response = await persistently(request, { isSafe });
            if (response.status !== 401 || !(await signIn.renew()))
                return response;
            await signIn.authorize(again.headers);
            return persistently(again, { isSafe });
        }
    });
    /** Sends again while that can help and cannot do harm. 429 says that nothing was done, whatever the method. */
    async function persistently(request, { isSafe }) {
        for (let attempt = 1;; attempt++) {
            const isLast = attempt >= attempts;
            const pause = pauseMs * 2 ** (attempt - 1);
            try {
                const response = await send(isLast ? request : request.clone());
                const mayHelp = response.status === 429 || (isSafe && [502, 503, 504].includes(response.status));
                if (isLast || !mayHelp)
                    return response;
                const retryAfter = Number(response.headers.get('retry-after'));
                await response.body?.cancel();
                await sleep(retryAfter > 0 ? Math.min(retryAfter * 1000, 60_000) : pause, request.signal);
            }
            catch (error) {
                if (isLast || !isSafe || request.signal.aborted)
                    throw error;
                await sleep(pause, request.signal);
            }
        }
    }
}
function authorization(credentials, { baseUrl, send }) {
    if ('apiKey' in credentials) {
        return {
            authorize: async (headers) => headers.set('x-api-key', credentials.apiKey),
            renew: async () => false
        };
    }
    if ('token' in credentials) {
        const { token } = credentials;
        return {
            authorize: async (headers) => headers.set('authorization', `Bearer ${typeof token === 'string' ? token : await token()}`),
            // A function may know a newer one.
            renew: async () => typeof token !== 'string'
        };
    }
    const { username, password } = credentials;
    let current;
    // Requests that need a token at the same time wait for one sign-in.
    let pending;
    const fresh = () => (pending ??= obtain().then((token) => {
        pending = undefined;
        return (current = token);
    }, (error) => {
        pending = undefined;
        throw error;
    }));
    return {
        authorize: async (headers) => {
            const { accessToken } = current !== undefined && Date.now() < current.renewAt ? current : await fresh();
            headers.set('authorization', `Bearer ${accessToken}`);
        },
        renew: async () => {
            if (current !== undefined)
                current.renewAt = 0;
            return true;
        }
    };
    async function obtain() {
        const renewed = current === undefined ? undefined : await post('/v1/auth/refresh', { refreshToken: current.refreshToken });
        const response = renewed?.ok === true ? renewed : await post('/v1/auth/tokens', { username, password });
        const answer = await response.json().catch(() => undefined);
        if (!response.ok)
            throw new BincardProblem(isProblem(answer) ? answer : strange(response, answer));
        const token = answer;
        // Half a minute early, so that it does not expire on the way; a short-lived token at half its life.
        return { ...token, renewAt: Date.now() + Math.max(token.expiresIn - 30, token.expiresIn / 2) * 1000 };
    }
    function post(path, body) {
        return send(new Request(baseUrl + path, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body)
        }));
    }
}
const sleep = (milliseconds, signal) => new Promise((resolve, reject) => {
    const stop = () => {
        clearTimeout(timer);
        reject(signal.reason);
    };
    const timer = setTimeout(() => {
        signal.removeEventListener('abort', stop);
        resolve();
    }, milliseconds);
    if (signal.aborted)
        stop();
    else
        signal.addEventListener('abort', stop, { once: true });
});
