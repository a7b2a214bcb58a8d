// SPDX-License-Identifier: Apache-2.0
// The phrases of the quickstart's messages.
//
// In a frame, {i} is a product and {o} the mention of an order (or nothing). Frames marked `unseen`
// never occur in training, only in test rows. They use the vocabulary of the `seen` ones, from
// which the model can generalise. The `training_only` frames make the model learn the team from the
// words and not from whole frames.
#pragma once

#include <array>
#include <string_view>

namespace retort::quickstart {

struct Team {
  std::string_view name;
  std::array<std::string_view, 10> seen;
  std::array<std::string_view, 5> unseen;
  std::array<std::string_view, 12> training_only;
};

inline constexpr std::array<Team, 6> kTeams = {{
    {"billing",
     {"my card was charged twice{o}", "there is a wrong charge on my bill{o}",
      "the invoice{o} shows the wrong amount", "please send me an invoice{o}",
      "my payment{o} failed", "I paid{o} but the payment still shows as open",
      "the tax on my invoice{o} looks wrong", "I want to pay by card{o} and not by bank transfer",
      "the discount is missing from my bill{o}", "why was my bank account charged{o}"},
     {"I see the same charge on my card two times{o}",
      "the bill{o} has an amount I never agreed to pay",
      "my bank says the payment{o} did not go through",
      "I still need the invoice{o} with my tax number", "can you correct the payment amount{o}"},
     {"I was charged for the {i}{o} but never paid that amount",
      "the amount on my card{o} is too high", "where do I find the invoice for the {i}{o}",
      "you charged my card{o} again", "my bank did not take the payment for the {i}{o}",
      "can I pay the bill{o} by bank transfer", "the bill for the {i}{o} has the wrong tax",
      "I need a correct invoice{o}", "there are two payments for the {i}{o} on my card",
      "did my payment{o} go through", "the invoice says another amount than I paid{o}",
      "please correct the tax number on the bill{o}"}},
    {"shipping",
     {"my parcel{o} has not arrived", "where is the package{o}",
      "the courier left the {i}{o} at the wrong door", "the delivery of my {i}{o} is late",
      "the tracking page{o} has not moved for days", "has the {i}{o} been shipped yet",
      "please change the delivery address{o}", "the parcel{o} was sent to my old address",
      "the courier says the package{o} is lost", "when will the {i}{o} be delivered"},
     {"I am still waiting for the parcel with my {i}{o}", "the delivery{o} never arrived",
      "can the courier bring the package{o} to my new address",
      "the tracking page says my {i}{o} was delivered but no parcel arrived",
      "how long until my {i}{o} is shipped"},
     {"no parcel came{o}", "I wait for the delivery of the {i}{o}",
      "has the parcel{o} been delivered to another address",
      "the courier never came with my {i}{o}",
      "tracking says the package{o} is on its way for a week",
      "can you deliver the {i}{o} to my new address", "my {i}{o} was not delivered",
      "the package with the {i}{o} was shipped to the wrong address",
      "how long does the delivery{o} take", "the courier lost my parcel{o}",
      "is my {i}{o} shipped by courier", "the tracking of my parcel{o} shows nothing"}},
    {"returns",
     {"I want to return the {i}{o}", "how do I send back the {i}{o}", "please refund me{o}",
      "I need a return label{o}", "the {i}{o} is the wrong size and I want to exchange it",
      "my refund{o} has not come", "can I exchange the {i}{o} for another colour",
      "I sent the {i}{o} back and wait for my refund",
      "I changed my mind and want to return everything{o}",
      "the {i}{o} does not fit, can I send it back"},
     {"is it possible to return the {i}{o} without a label",
      "I would like a refund{o} since I sent it back",
      "please exchange my {i}{o}, the size is wrong", "where do I send the {i}{o} back to",
      "the return of my {i}{o} is done but the refund has not come"},
     {"how long does a refund{o} take", "the size of the {i}{o} is wrong, I want to send it back",
      "where do I get a label to return the {i}{o}", "I would like to exchange the {i}{o}",
      "is a return of the {i}{o} possible", "I have sent everything back{o}, where is the refund",
      "please send me a label, I return the {i}{o}", "can I return the {i}{o} and get a refund",
      "the colour of the {i}{o} is wrong, please exchange it", "I want my refund for the {i}{o}",
      "the label for my return{o} is missing", "I do not like the {i}{o} and send it back"}},
    {"technical",
     {"the {i}{o} does not turn on", "the screen of my {i}{o} stays black",
      "the app shows an error when I connect the {i}{o}",
      "the battery of the {i}{o} is empty after an hour",
      "the {i}{o} stopped working after the update", "my {i}{o} makes a strange noise",
      "I cannot connect the {i}{o} to the wifi", "the app crashes every time I open it{o}",
      "how do I restart the {i}{o}", "the {i}{o} keeps showing an error code"},
     {"after the update the screen of the {i}{o} is black", "my {i}{o} will not connect to the app",
      "the {i}{o} gets hot and the battery is empty",
      "there is an error on the screen of my {i}{o}", "the {i}{o} stopped working with the wifi"},
     {"there is an error on my {i}{o}", "the {i}{o} has no wifi", "the app does not find my {i}{o}",
      "after an hour the battery of my {i}{o} is hot", "the screen of the {i}{o} shows an error",
      "my {i}{o} turns off after the update", "the update of the {i}{o} does not work",
      "connect and restart do not help, the {i}{o} stays black", "the {i}{o} does not connect",
      "a noise comes from the {i}{o} and it gets hot", "the app for my {i}{o} stopped working",
      "the screen is black and the {i}{o} does not restart"}},
    {"account",
     {"I cannot log in to my account{o}", "I forgot my password and cannot see my profile{o}",
      "please change the email of my account{o}", "my account is locked{o}",
      "please delete my profile{o}", "the link for a new password does not come{o}",
      "I want to change my username{o}", "somebody else logged in to my account{o}",
      "I have two accounts and want to join them{o}",
      "the login page does not take my password{o}"},
     {"my login is locked since I forgot the password{o}",
      "how do I change the password of my profile{o}",
      "please change the email and the username of my account{o}",
      "I get no link for my password by email{o}",
      "the login page says that my username is unknown{o}"},
     {"my password does not work on the login page{o}", "the username of my account{o} is wrong",
      "I cannot change my email{o}", "my profile shows another email{o}",
      "why is my login locked{o}", "I forgot the username for my login{o}",
      "the password link{o} does not work", "please change my username and password{o}",
      "my account says the email is unknown{o}", "I get no email with the link to log in{o}",
      "delete my account and my profile please{o}",
      "the page for my profile asks for a new password{o}"}},
    {"sales",
     {"do you have the {i} in stock again{o}", "I want to buy ten more of the {i}{o}",
      "can I get a quote for the {i}{o}", "what is the price of a new {i}{o}",
      "is there an offer for the {i}{o}", "which {i} do you recommend to buy{o}",
      "is the {i} available in blue{o}", "do you sell spare parts for the {i}{o}",
      "can I get a better price when I buy more{o}", "when is the new {i} available to buy{o}"},
     {"I would like a quote for more of the {i}{o}",
      "do you still sell the {i} and is it in stock{o}",
      "which price do you offer for a new {i}{o}",
      "I want to buy the {i} as a gift, is it available{o}",
      "what do you recommend when I buy a new {i}{o}"},
     {"is the new {i} in stock{o}", "I want to buy a {i} as a gift{o}",
      "do you offer a better price for ten {i}s{o}", "which {i} is the best to buy{o}",
      "please send me a quote{o}", "can you recommend a {i} that is in stock{o}",
      "what does the {i} cost when I buy two{o}", "do you sell the {i} in another colour{o}",
      "is there a better offer for a new {i}{o}", "when do you have more of the {i} available{o}",
      "I would like to buy spare parts{o}", "do you still have an offer for the {i}{o}"}},
}};

// Sentences that give a message's urgency; without one it is "normal".
struct Urgency {
  std::string_view name;
  std::array<std::string_view, 8> seen;
  std::array<std::string_view, 4> unseen;
};

inline constexpr std::array<Urgency, 2> kUrgencies = {{
    {"high",
     {"This is urgent.", "Please answer today.", "I need help right now.", "It cannot wait.",
      "Please help as soon as possible.", "I need this immediately.", "This is very urgent!",
      "It has to be solved today."},
     {"It is urgent, please help right now.", "I need an answer today.",
      "Please help me immediately.", "This has to be solved as soon as possible."}},
    {"low",
     {"There is no rush.", "Take your time.", "Answer whenever you can.", "It is not urgent.",
      "There is no hurry.", "Just when you have a moment.", "It can wait.",
      "Any time next week is fine."},
     {"No hurry, whenever you have a moment.", "Please take your time, there is no rush.",
      "It is not urgent, it can wait.", "Next week is fine, no hurry."}},
}};

inline constexpr std::array<std::string_view, 24> kItems = {
    "lamp",    "kettle",  "tablet", "phone",   "camera",  "printer", "watch",    "speaker",
    "jacket",  "chair",   "router", "monitor", "blender", "vacuum",  "keyboard", "headset",
    "toaster", "scooter", "fan",    "heater",  "radio",   "drill",   "bike",     "scale"};

inline constexpr std::array<std::string_view, 24> kNames = {
    "Maria", "Tom",  "Anna", "Lukas", "Sofia", "Ben",   "Nina", "Omar",
    "Julia", "Erik", "Lena", "Pavel", "Clara", "David", "Emma", "Felix",
    "Hana",  "Ivan", "Kim",  "Leo",   "Mina",  "Noah",  "Olga", "Paul"};

inline constexpr std::array<std::string_view, 8> kGreetings = {
    "Hello,",     "Hi,",         "Good morning,", "Dear team,",
    "Hey there,", "Hello team,", "Hi all,",       "Good evening,"};

inline constexpr std::array<std::string_view, 8> kClosings = {
    "Thanks,",      "Thank you,", "Best regards,", "Kind regards,",
    "Many thanks,", "Cheers,",    "Yours,",        "Greetings,"};

// {n} is the order's number.
inline constexpr std::array<std::string_view, 6> kOrderMentions = {
    " for order {n}", " (order {n})",  " from order {n}",
    " of order {n}",  " in order {n}", " with order number {n}"};
inline constexpr std::array<std::string_view, 5> kOrderSentences = {
    "My order number is {n}.", "It is about order {n}.", "The order is {n}.", "Order number: {n}.",
    "This is order {n}."};

// Other numbers, which are never the answer: {c} looks like an order number.
inline constexpr std::array<std::string_view, 10> kOtherNumbers = {"My customer number is {c}.",
                                                                   "The tracking number is {c}.",
                                                                   "The invoice number is {c}.",
                                                                   "My phone number is {p}.",
                                                                   "I paid {a}.",
                                                                   "It cost {a}.",
                                                                   "Call me at {p}.",
                                                                   "My ticket was {c}.",
                                                                   "My post code is {c}.",
                                                                   "I have waited {d} days."};

inline constexpr std::array<std::string_view, 4> kNoNumber = {
    "I do not have the order number.", "I lost the order number.", "I cannot find my order number.",
    "I have no order number."};

}  // namespace retort::quickstart
