// SPDX-License-Identifier: Apache-2.0
#include "runner/http_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <csignal>
#include <deque>
#include <set>

#include "base/error.h"

namespace retort {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr std::chrono::seconds kDrainTime{2};

// A piece of an answer that waits to be written to the socket.
struct Part {
  enum class Kind { kWhole, kBegin, kBytes, kEnd } kind;
  HttpAnswer answer;  // of kWhole, and the head of kBegin
  std::string bytes;
};

class Connection;

// What the handler holds. The reference to the connection is weak, because the connection may close
// at any time.
class Exchange : public HttpExchange, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(asio::any_io_executor executor, std::weak_ptr<Connection> connection)
      : executor_(std::move(executor)), connection_(std::move(connection)) {}

  void Answer(HttpAnswer answer) override { Post({Part::Kind::kWhole, std::move(answer), {}}); }
  void Begin(const std::string& content_type) override {
    HttpAnswer head;
    head.content_type = content_type;
    head.headers = {{"Cache-Control", "no-cache"}};
    Post({Part::Kind::kBegin, std::move(head), {}});
  }
  void Send(std::string bytes) override { Post({Part::Kind::kBytes, {}, std::move(bytes)}); }
  void End() override { Post({Part::Kind::kEnd, {}, {}}); }
  void OnGone(std::function<void()> on_gone) override { on_gone_ = std::move(on_gone); }

  void OnDisconnect() {
    if (const auto on_gone = std::exchange(on_gone_, nullptr)) on_gone();
  }

 private:
  void Post(Part part);

  asio::any_io_executor executor_;
  std::weak_ptr<Connection> connection_;
  std::function<void()> on_gone_;
};

struct Shared {
  HttpOptions options;
  HttpServer::Handler handler;
  HttpServer::FaultBody fault_body;
  std::set<Connection*> connections;
  bool stopping = false;
  std::function<void()> on_closed;
};

// A client's connection. Serves one request after the other. Used on the I/O thread only.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Shared& shared)
      : shared_(shared),
        stream_(std::move(socket)),
        wake_(stream_.get_executor()),
        buffer_(static_cast<size_t>(shared.options.header_limit + shared.options.body_limit)) {
    shared_.connections.insert(this);
  }
  ~Connection() { shared_.connections.erase(this); }

  static asio::awaitable<void> Run(std::shared_ptr<Connection> self) {
    try {
      for (bool more = true; more;) more = co_await self->ServeOne();
    } catch (const std::exception&) {
      // The client has disconnected, or read too slowly.
    }
    self->Close();
  }

  void Deliver(const Exchange* from, Part part) {
    if (from != exchange_.get()) return;  // its request has ended
    outbox_.push_back(std::move(part));
    wake_.cancel();
  }
  void CloseIfIdle() {
    if (!exchange_) stream_.close();
  }

 private:
  using Parser = http::request_parser<http::string_body>;

  asio::awaitable<bool> ServeOne();
  // False if the connection has ended or failed. Errors in the request are answered first.
  asio::awaitable<bool> Read(Parser& parser);
  asio::awaitable<void> Refuse(int status, std::string message);
  // Writes what the exchange sends, until its end. False if the connection must be closed.
  asio::awaitable<bool> Answer(unsigned version, bool keep_alive, bool head);
  asio::awaitable<void> WriteWhole(const HttpAnswer& answer, unsigned version, bool keep_alive,
                                   bool head);
  asio::awaitable<void> WriteHead(const HttpAnswer& answer, unsigned version, bool keep_alive);
  asio::awaitable<void> WriteBytes(std::string bytes);
  // Reads until the client closes too. Closing a socket with unread input would reset the
  // connection, and the client could lose the answer.
  asio::awaitable<void> Drain();
  void Handle(const http::request<http::string_body>& request);
  void Watch();
  void Close();

  Shared& shared_;
  beast::tcp_stream stream_;
  asio::steady_timer wake_;  // cancelled to wake Answer()
  beast::flat_buffer buffer_;
  std::shared_ptr<Exchange> exchange_;  // of the request being answered
  std::deque<Part> outbox_;
  bool chunked_ = false, gone_ = false;
};

void Exchange::Post(Part part) {
  asio::post(executor_, [self = shared_from_this(), part = std::move(part)]() mutable {
    if (const auto connection = self->connection_.lock())
      connection->Deliver(self.get(), std::move(part));
  });
}

HttpAnswer Fault(const Shared& shared, int status, const std::string& message) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = shared.fault_body(status, message);
  return answer;
}

template <class Message>
void SetHead(Message& message, const HttpAnswer& answer, bool keep_alive) {
  message.set(http::field::server, "retort");
  if (!answer.content_type.empty()) message.set(http::field::content_type, answer.content_type);
  for (const auto& [name, value] : answer.headers) message.set(name, value);
  message.keep_alive(keep_alive);
}

asio::awaitable<bool> Connection::ServeOne() {
  Parser parser;
  parser.header_limit(static_cast<uint32_t>(shared_.options.header_limit));
  parser.body_limit(static_cast<uint64_t>(shared_.options.body_limit));
  const bool read = co_await Read(parser);
  if (!read) co_return false;

  const http::request<http::string_body>& request = parser.get();
  exchange_ = std::make_shared<Exchange>(stream_.get_executor(), weak_from_this());
  gone_ = false;
  Handle(request);
  Watch();
  const bool head = request.method() == http::verb::head;
  const bool ended = co_await Answer(request.version(), request.keep_alive(), head);
  if (!ended) co_return false;
  exchange_.reset();
  outbox_.clear();
  stream_.socket().cancel();  // ends Watch()
  if (request.keep_alive() && !shared_.stopping) co_return true;
  co_await Drain();
  co_return false;
}

asio::awaitable<bool> Connection::Read(Parser& parser) {
  ErrorCode error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  stream_.expires_after(shared_.options.read_timeout);
  co_await http::async_read_header(stream_, buffer_, parser, token);
  if (!error && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    http::response<http::empty_body> go_on(http::status::continue_, parser.get().version());
    co_await http::async_write(stream_, go_on, asio::use_awaitable);
  }
  if (!error && !parser.is_done()) {
    stream_.expires_after(shared_.options.read_timeout);
    co_await http::async_read(stream_, buffer_, parser, token);
  }
  if (!error) co_return true;
  if (error == http::error::body_limit) {
    co_await Refuse(413, Cat("the body is larger than ", BytesText(shared_.options.body_limit)));
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    co_await Refuse(431,
                    Cat("the header is larger than ", BytesText(shared_.options.header_limit)));
  } else if (error.category() == make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    co_await Refuse(400, Cat("not HTTP: ", error.message()));
  }
  co_return false;
}

asio::awaitable<void> Connection::Refuse(int status, std::string message) {
  co_await WriteWhole(Fault(shared_, status, message), 11, false, false);
  co_await Drain();
}

void Connection::Handle(const http::request<http::string_body>& request) {
  const auto text = [](auto view) { return std::string(view.data(), view.size()); };
  HttpRequest plain{text(request.method_string()), text(request.target()),
                    text(request[http::field::authorization]),
                    text(request[http::field::content_type]), request.body()};
  plain.path.resize(std::min(plain.path.size(), plain.path.find('?')));
  try {
    shared_.handler(plain, exchange_);
  } catch (const std::exception& e) {
    exchange_->Answer(Fault(shared_, 500, e.what()));
  }
}

// If the socket becomes readable during an answer, the client has either disconnected or sent its
// next request early. After an early request, only a failing write shows a disconnect.
void Connection::Watch() {
  stream_.expires_never();
  stream_.socket().async_wait(
      tcp::socket::wait_read, [self = shared_from_this(), of = exchange_](ErrorCode error) {
        if (error || self->exchange_ != of) return;
        char byte;
        self->stream_.socket().receive(asio::buffer(&byte, 1), tcp::socket::message_peek, error);
        if (!error) return;
        if (error == asio::error::would_block) return self->Watch();
        self->gone_ = true;
        self->wake_.cancel();
      });
}

asio::awaitable<bool> Connection::Answer(unsigned version, bool keep_alive, bool head) {
  for (;;) {
    if (gone_) co_return false;
    if (outbox_.empty()) {
      ErrorCode woken;
      wake_.expires_at(asio::steady_timer::time_point::max());
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
      continue;
    }
    Part part = std::move(outbox_.front());
    outbox_.pop_front();
    switch (part.kind) {
      case Part::Kind::kWhole:
        co_await WriteWhole(part.answer, version, keep_alive && !shared_.stopping, head);
        co_return true;
      case Part::Kind::kBegin:
        chunked_ = version >= 11;
        co_await WriteHead(part.answer, version, keep_alive && chunked_);
        break;
      case Part::Kind::kBytes:
        co_await WriteBytes(std::move(part.bytes));
        break;
      case Part::Kind::kEnd:
        if (chunked_) co_await WriteBytes({});
        co_return chunked_;  // without chunks, closing the connection marks the answer's end
    }
  }
}

asio::awaitable<void> Connection::WriteWhole(const HttpAnswer& answer, unsigned version,
                                             bool keep_alive, bool head) {
  http::response<http::string_body> response(
      http::int_to_status(static_cast<unsigned>(answer.status)), version);
  SetHead(response, answer, keep_alive);
  response.body() = answer.body;
  if (answer.status != 204) response.content_length(answer.body.size());
  http::response_serializer<http::string_body> serializer(response);
  stream_.expires_after(shared_.options.write_timeout);
  if (head)
    co_await http::async_write_header(stream_, serializer, asio::use_awaitable);
  else
    co_await http::async_write(stream_, serializer, asio::use_awaitable);
  stream_.expires_never();
}

asio::awaitable<void> Connection::WriteHead(const HttpAnswer& answer, unsigned version,
                                            bool keep_alive) {
  http::response<http::empty_body> response(http::status::ok, version);
  SetHead(response, answer, keep_alive);
  if (chunked_) response.chunked(true);
  http::response_serializer<http::empty_body> serializer(response);
  stream_.expires_after(shared_.options.write_timeout);
  co_await http::async_write_header(stream_, serializer, asio::use_awaitable);
  stream_.expires_never();
}

asio::awaitable<void> Connection::WriteBytes(std::string bytes) {
  stream_.expires_after(shared_.options.write_timeout);
  const auto buffer = asio::buffer(bytes);
  if (!chunked_)
    co_await asio::async_write(stream_, buffer, asio::use_awaitable);
  else if (bytes.empty())
    co_await asio::async_write(stream_, http::make_chunk_last(), asio::use_awaitable);
  else
    co_await asio::async_write(stream_, http::make_chunk(buffer), asio::use_awaitable);
  stream_.expires_never();
}

asio::awaitable<void> Connection::Drain() {
  ErrorCode error;
  stream_.socket().shutdown(tcp::socket::shutdown_send, error);
  stream_.expires_after(kDrainTime);
  std::vector<char> sink(16 << 10);
  int64_t left = 2 * shared_.options.body_limit;
  while (!error && left > 0) {
    left -= static_cast<int64_t>(co_await stream_.async_read_some(
        asio::buffer(sink), asio::redirect_error(asio::use_awaitable, error)));
  }
}

void Connection::Close() {
  if (const auto exchange = std::exchange(exchange_, nullptr)) exchange->OnDisconnect();
  stream_.close();
  shared_.connections.erase(this);
  shared_.on_closed();
}

}  // namespace

struct HttpServer::State {
  State(const HttpOptions& options, Handler handler, FaultBody fault_body)
      : shared{options, std::move(handler), std::move(fault_body), {}, false, {}} {
    shared.on_closed = [this] {
      if (shared.stopping && shared.connections.empty()) io.stop();
    };
    Listen();
    if (options.catch_signals) {
      signals.add(SIGINT);
      signals.add(SIGTERM);
      AwaitSignal();
    }
    asio::co_spawn(io, Accept(), asio::detached);
  }

  void Listen() {
    const HttpOptions& options = shared.options;
    ErrorCode error;
    const auto found = tcp::resolver(io).resolve(options.host, std::to_string(options.port), error);
    if (error || found.empty())
      throw InputError("--host '", options.host, "' is no address: ", error.message());
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error)
      throw Failure("cannot listen on ", options.host, " port ", options.port, ": ",
                    error.message());
    bound = acceptor.local_endpoint();
  }

  asio::awaitable<void> Accept() {
    while (acceptor.is_open()) {
      ErrorCode error;
      tcp::socket socket =
          co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error && acceptor.is_open()) {  // for example out of file descriptors: retry later
        asio::steady_timer pause(io, std::chrono::milliseconds(100));
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      if (error) break;
      Take(std::move(socket));
    }
  }

  void Take(tcp::socket socket) {
    ErrorCode ignored;
    socket.non_blocking(true, ignored);
    socket.set_option(tcp::no_delay(true), ignored);  // tokens are small writes: send immediately
    if (static_cast<int>(shared.connections.size()) >= shared.options.connections) {
      const std::string body = shared.fault_body(503, "too many connections");
      const std::string text =
          Cat("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n",
              "Content-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
      socket.write_some(asio::buffer(text), ignored);  // fits into the empty socket buffer
      return;
    }
    asio::co_spawn(io, Connection::Run(std::make_shared<Connection>(std::move(socket), shared)),
                   asio::detached);
  }

  void AwaitSignal() {
    signals.async_wait([this](ErrorCode error, int) {
      if (error) return;
      Stop();
      AwaitSignal();
    });
  }

  void Stop() {
    if (shared.stopping) return io.stop();
    shared.stopping = true;
    ErrorCode ignored;
    acceptor.close(ignored);
    for (Connection* connection : shared.connections) connection->CloseIfIdle();
    grace.expires_after(shared.options.grace);
    grace.async_wait([this](ErrorCode error) {
      if (!error) io.stop();
    });
    if (shared.connections.empty()) io.stop();
  }

  Shared shared;  // before io: the connections use it until io is destroyed
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  tcp::endpoint bound;
  asio::signal_set signals{io};
  asio::steady_timer grace{io};
};

HttpServer::HttpServer(const HttpOptions& options, Handler handler, FaultBody fault_body)
    : state_(std::make_unique<State>(options, std::move(handler), std::move(fault_body))) {}
HttpServer::~HttpServer() = default;

int HttpServer::port() const { return state_->bound.port(); }
bool HttpServer::loopback() const { return state_->bound.address().is_loopback(); }

std::string HttpServer::url() const {
  const auto address = state_->bound.address();
  return address.is_v6() ? Cat("http://[", address.to_string(), "]:", port())
                         : Cat("http://", address.to_string(), ":", port());
}

void HttpServer::Run() { state_->io.run(); }

void HttpServer::Stop() {
  asio::post(state_->io, [state = state_.get()] { state->Stop(); });
}

}  // namespace retort
