# bincard without development tools and without the embedded database: DATABASE_URL and JWT_SECRET (or OIDC_ISSUER) are required.
#
#   docker build -t bincard .
#   docker run -p 3000:3000 -e DATABASE_URL=postgres://… -e JWT_SECRET=… bincard
#   docker run --rm -e DATABASE_URL=postgres://… -e JWT_SECRET=… bincard src/cli.ts create-admin boss    the first administrator
#
# API and worker in one process by default; apart: `docker run … bincard src/server.ts`, `docker run … bincard src/worker.ts`.

FROM node:26-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY openapi/package.json openapi/
RUN npm ci --omit=dev --omit=optional --workspaces=false --no-audit --no-fund && npm cache clean --force

FROM node:26-slim
ENV NODE_ENV=production PORT=3000
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE ./
COPY migrations migrations
COPY src src
USER node
EXPOSE 3000
# The worker alone has no port; run it with --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node"]
CMD ["src/main.ts"]
