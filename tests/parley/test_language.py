"""Which language an utterance is in, and how little a short one proves."""

import pytest

from parley.nlu.language import detect_language

SENTENCES = """
de|wo ist meine bestellung|ich möchte etwas zurückgeben|wie spät ist es|danke für die hilfe|das geht nicht
de|können sie mir helfen|ich habe eine frage|wann kommt mein paket an|guten tag|was kostet der versand
fr|où est ma commande|je voudrais un remboursement|bonjour|quelle heure est-il|merci beaucoup|ça ne marche pas
fr|pouvez-vous m'aider|j'ai une question|quand arrive mon colis|combien coûte la livraison
es|dónde está mi pedido|quiero devolver esto|buenos días|qué hora es|muchas gracias|puede ayudarme por favor
es|tengo una pregunta|cuándo llega mi paquete|cuánto cuesta el envío|no funciona
it|dov'è il mio ordine|vorrei un rimborso|buongiorno|che ore sono|grazie mille|non funziona|mi può aiutare
it|ho una domanda|quando arriva il mio pacco|quanto costa la spedizione
pt|onde está meu pedido|que horas são|muito obrigado|não funciona|você pode me ajudar|tenho uma pergunta
pt|quando chega minha encomenda|quero devolver isto|bom dia|quanto custa o frete
nl|waar is mijn bestelling|ik wil dit terugsturen|goedemorgen|hoe laat is het|het werkt niet|kunt u mij helpen
nl|ik heb een vraag|wanneer komt mijn pakket aan|dank je wel|wat kost de verzending
pl|gdzie jest moje zamówienie|chcę to zwrócić|dzień dobry|która jest godzina|dziękuję bardzo|to nie działa
pl|czy może mi pan pomóc|kiedy przyjdzie moja paczka|ile kosztuje wysyłka|mam pytanie
ru|где мой заказ|я хочу вернуть товар|доброе утро|который час|большое спасибо|это не работает|вы можете мне помочь
ru|у меня вопрос|когда придёт посылка|сколько стоит доставка
ja|注文はどこですか|返品したいです|おはようございます|今何時ですか|ありがとうございます|動きません|助けてください
ja|質問があります|荷物はいつ届きますか|送料はいくらですか
ko|내 주문 어디에 있나요|반품하고 싶어요|안녕하세요|지금 몇 시예요|감사합니다|작동하지 않아요|도와주세요
ko|질문이 있어요|소포는 언제 도착하나요|배송비는 얼마예요
ar|أين طلبي|أريد إرجاع هذا|صباح الخير|كم الساعة|شكرا جزيلا|هذا لا يعمل|هل يمكنك مساعدتي
ar|عندي سؤال|متى تصل الشحنة|كم تكلفة التوصيل
zh|我的订单在哪里|我想退货|早上好|现在几点了|非常感谢|这个坏了|你能帮我吗|我有一个问题|我的包裹什么时候到|运费是多少
"""
SPOKEN = [
    (language, text)
    for line in SENTENCES.split("\n")
    if line
    for language, *texts in [line.split("|")]
    for text in texts
]


def test_nine_of_ten_short_sentences_are_recognised_and_hardly_any_as_a_third_language() -> None:
    found = [(language, detect_language(text, "en")) for language, text in SPOKEN]

    assert len(SPOKEN) >= 100
    assert sum(language == seen for language, seen in found) >= 0.9 * len(SPOKEN)
    assert sum(seen not in (language, "en") for language, seen in found) <= 1


@pytest.mark.parametrize("language", ["ru", "ja", "ko", "ar", "zh"])
def test_a_script_of_its_own_is_always_recognised(language: str) -> None:
    texts = [text for spoken, text in SPOKEN if spoken == language]

    assert {detect_language(text) for text in texts} == {language}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "lol",
        "haha",
        "WB-204518",
        "12",
        "?",
        "🎉🎉",
        "Maria Garcia",
        "Jean-Luc Picard",
        "São Paulo",
        "Dublin",
        "jo.bloggs@example.org",
        "https://example.org/où-est-ma-commande",
        "pizza",
        "asdf qwer",
        "hi",
        "no",
        "xD",
        "where is my order",
        "i want a croissant",
        "two spades please",
        "When is the café open?",
        "i live in Düsseldorf",
    ],
)
def test_what_proves_nothing_is_in_the_bots_own_language(text: str) -> None:
    assert detect_language(text, "en") == "en"


@pytest.mark.parametrize("text", ["ok", "WB-204518", "hello", "thanks", "pizza", "Maria Garcia", "wo ist mein paket"])
def test_the_bots_language_need_not_be_english(text: str) -> None:
    assert detect_language(text, "de") == "de"


@pytest.mark.parametrize("text", ["where is my order", "can you help me please"])
def test_english_is_foreign_to_a_german_bot(text: str) -> None:
    assert detect_language(text, "de") == "en"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("这件T恤多少钱", "zh"),
        ("订单 WB-204518 在哪里", "zh"),
        ("2件", "zh"),
        ("iPhoneの在庫はありますか", "ja"),
        ("the word 寿司 means sushi in english", "en"),
        ("what does спасибо mean", "en"),
        ("Wo ist Bestellung WB-204518? Ich warte seit Tagen!", "de"),
        ("WO IST MEINE BESTELLUNG", "de"),
    ],
)
def test_codes_and_foreign_words_do_not_hide_the_language(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_han_characters_alone_may_be_the_bots_japanese() -> None:
    assert detect_language("注文番号", "ja") == "ja"
    assert detect_language("注文番号", "en") == "zh"


def test_a_language_that_the_model_does_not_know_is_believed() -> None:
    assert detect_language("hello there", "tlh") == "tlh"


@pytest.mark.parametrize("text", ["a" * 4000, "é " * 2000, "的" * 4000, "\0\ud800", "а" * 300])
def test_odd_texts_have_a_language_too(text: str) -> None:
    assert len(detect_language(text)) == 2
