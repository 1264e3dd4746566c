import { html } from 'ghtml'

// What the board shows of its own: signing in, being refused, signing out. Texts are escaped by `html`.

/** Where the board is. */
export const BOARD = '/board'

const page = (title: string, body: string): string =>
  html`<!doctype html>
    <html lang="zh-CN">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${title}</title>
        <style>
          body {
            display: grid;
            place-content: center;
            min-height: 100vh;
            margin: 0;
            background: #f4f5f7;
            color: #1d2430;
            font:
              16px/1.5 system-ui,
              sans-serif;
          }
          main {
            width: min(22rem, 86vw);
            padding: 1.5rem 2rem 2rem;
            background: #fff;
            border: 1px solid #d8dce3;
            border-radius: 6px;
          }
          h1 {
            margin: 0 0 1rem;
            font-size: 1.25rem;
          }
          label {
            display: block;
            margin-bottom: 0.75rem;
          }
          input {
            display: block;
            box-sizing: border-box;
            width: 100%;
            padding: 0.45rem;
            border: 1px solid #98a1b0;
            border-radius: 4px;
            font: inherit;
          }
          button {
            padding: 0.45rem 1.1rem;
            border: 0;
            border-radius: 4px;
            background: #1f5fae;
            color: #fff;
            font: inherit;
            cursor: pointer;
          }
          [role='alert'] {
            padding: 0.5rem 0.75rem;
            background: #fdecea;
            border-left: 4px solid #b3261e;
          }
        </style>
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          !${body}
        </main>
      </body>
    </html>`

const alert = (problem: string | undefined): string =>
  problem === undefined ? '' : html`<p role="alert">${problem}</p>`

/** @param takesToken where people sign in at an OpenID Connect issuer only, its access token is what they have */
export const signInPage = ({ problem, takesToken }: { problem?: string | undefined; takesToken: boolean }): string =>
  page(
    'bincard · 后台任务 Job board',
    html`!${alert(problem)}
      <form method="post" action="${BOARD}/sign-in">
        !${
          takesToken
            ? html`<label
                >访问令牌 Access token<input
                  name="token"
                  type="password"
                  required
                  maxlength="8000"
                  autocomplete="off"
                  autofocus
              /></label>`
            : html`<label
                  >用户名 User name<input name="username" required maxlength="60" autocomplete="username" autofocus
                /></label>
                <label
                  >密码 Password<input
                    name="password"
                    type="password"
                    required
                    maxlength="200"
                    autocomplete="current-password"
                /></label>`
        }
        <button>登录 Sign in</button>
      </form>`
  )

const signOutForm = html`<form method="post" action="${BOARD}/sign-out"><button>退出登录 Sign out</button></form>`

/** For somebody who is signed in and may not see the board. */
export const refusedPage = ({ username, problem }: { username: string; problem: string }): string =>
  page(
    'bincard · 后台任务 Job board',
    html`!${alert(problem)}
      <p>${username}</p>
      !${signOutForm}`
  )

export const signOutPage = ({ username }: { username: string }): string =>
  page(
    'bincard · 后台任务 Job board',
    html`<p>${username} · <a href="${BOARD}/">返回 Back</a></p>
      !${signOutForm}`
  )
