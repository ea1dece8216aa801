-- Requests in turn: wrk -s request.lua URL -- REQUESTS_FILE HEADER: VALUE ...
-- Each line of the file is a request: method, path and body (empty: none), with tabs between.
-- Prints one line of JSON that benchmarks/service/http.py reads.

function init(args)
   turns, sent = {}, 0
   for line in io.lines(args[1]) do
      local method, path, body = line:match("^([^\t]+)\t([^\t]+)\t(.*)$")
      turns[#turns + 1] = { method = method, path = path, body = body ~= "" and body or nil }
      if body ~= "" then wrk.headers["Content-Type"] = "application/json" end
   end
   for i = 2, #args do
      local name, value = args[i]:match("^([^:]+): (.*)$")
      wrk.headers[name] = value
   end
end

function request()
   local turn = turns[sent % #turns + 1]
   sent = sent + 1
   return wrk.format(turn.method, turn.path, nil, turn.body)
end

function done(summary, latency, requests)
   local e = summary.errors
   local errors = e.connect + e.read + e.write + e.status + e.timeout
   print(string.format('JSON {"requests": %d, "seconds": %.6f, "errors": %d, "p50": %.3f, "p95": %.3f, "p99": %.3f}',
      summary.requests, summary.duration / 1e6, errors,
      latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000))
end
