// SPDX-License-Identifier: Apache-2.0
// Many clients that hold their connections by being slow, in every way there is. Whoever comes
// besides them must always be served.
#include <gtest/gtest.h>

#include <functional>

#include "tests/runner/http/fixture.h"

namespace retort {
namespace {

class SlowClientsTest : public HttpServerTest {
 protected:
  static constexpr int kSlow = 300, kProbes = 30;

  // Opens the slow clients and probes with others. A slow client that was closed comes back, and
  // between the probes each sends what keeps it from looking dead.
  void Serves(int receive_buffer, const std::string& begin, const std::string& drip) {
    options_.connections = 200;  // fewer than there are slow ones
    Start();
    const auto open = [&] {
      auto client = std::make_unique<RawClient>(server_->port(), receive_buffer);
      client->Send(begin);
      return client;
    };
    std::vector<std::unique_ptr<RawClient>> slow;
    for (int i = 0; i < kSlow; ++i) slow.push_back(open());
    RawClient steady(server_->port());  // keeps its connection, and asks now and then
    int served = 0, steady_served = 0;
    for (int probe = 0; probe < kProbes; ++probe) {
      served += Ask(Get("/ok")).status == 200;
      served += Ask(Post("/echo", "text")).body == "text";
      steady.Send(Get("/ok"));
      steady_served += steady.Read().status == 200;
      int reopened = 0;
      for (auto& client : slow) {
        if (!client->closed()) {
          if (!drip.empty()) client->Send(drip);
        } else if (reopened < 10) {
          client = open();
          ++reopened;
        }
      }
    }
    EXPECT_EQ(served, 2 * kProbes);
    EXPECT_EQ(steady_served, kProbes);
  }
};

TEST_F(SlowClientsTest, SilentOnes) { Serves(0, "", ""); }

TEST_F(SlowClientsTest, DrippingHeaders) {
  Serves(0, "GET /ok HTTP/1.1\r\nHost: localhost\r\nX: ", "x");
}

TEST_F(SlowClientsTest, DrippingEmptyLines) { Serves(0, "\r\n", "\r\n"); }

TEST_F(SlowClientsTest, DrippingBodies) {
  Serves(0, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n", "x");
}

TEST_F(SlowClientsTest, DrippingChunks) {
  Serves(0, "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
         "1\r\nx\r\n");
}

TEST_F(SlowClientsTest, DrippingTrailers) {
  Serves(0, "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
         "x");
}

TEST_F(SlowClientsTest, ReadersOfNothing) { Serves(1, Get("/big"), ""); }

TEST_F(SlowClientsTest, ReadersOfNoStream) { Serves(1, Post("/pour", "x"), ""); }

TEST_F(SlowClientsTest, RefusedOnesThatStay) {
  Serves(0, "POST /echo HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100000\r\n\r\n", "x");
}

}  // namespace
}  // namespace retort
