-- Drives wrk: POSTs what a file has, and prints one line of JSON at the end.
--   wrk ... -s load.lua URL -- FILE [ANSWER]
-- With ANSWER, every response is compared with it. That costs the generator time, so it is for the
-- warm-up: `response` stays undefined, and wrk skips headers and bodies, when there is no ANSWER.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  wrk.method = "POST"
  local file = assert(io.open(args[1], "rb"))
  wrk.body = file:read("*a")
  file:close()
  wrong = 0
  local answer = args[2]
  if answer then
    response = function(status, headers, body)
      if status ~= 200 or body ~= answer then
        wrong = wrong + 1
      end
    end
  end
end

function done(summary, latency, requests)
  local wrong = 0
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("wrong")
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "connect": %d, ' ..
    '"read": %d, "write": %d, "status": %d, "timeout": %d, "wrong": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout, wrong))
end
