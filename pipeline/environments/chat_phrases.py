"""Phrases of small talk in twelve languages: topics with a plain sentence, ways to ask, and forms of the reply.

Outside English a topic stands after a colon in its dictionary form, so that no sentence has to inflect it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.environments.easy_words import NOUNS, plurals

FORMS = ("one", "few", "paragraph", "question", "no_question")
"""Forms of a reply that can be asked for: one sentence; two or three; a paragraph of three to six; a question at the
end; no question."""


@dataclass(frozen=True)
class Phrases:
    """The phrases of one language."""

    openings: tuple[str, ...]
    """What may stand before the request; the first is empty."""
    asks: tuple[str, ...]
    """Requests, with braces for the topic."""
    forms: tuple[str, ...]
    """The request for each of FORMS."""
    question: str
    """A question to end with."""
    more: tuple[str, str]
    """Sentences that fit every topic."""
    topics: dict[str, str]
    """By topic, a sentence about it."""
    stems: dict[str, tuple[str, ...]]
    """Beginnings by which an inflected topic is known, where they are not its last word."""


_ENGLISH = {
    "the sea": "deep and blue", "the moon": "round and bright", "music": "good for the heart",
    "bread": "warm and good", "rain": "soft and cool", "winter": "cold and white", "cats": "soft and clever",
    "dogs": "kind and true", "books": "full of ideas", "tea": "hot and good", "trees": "tall and green",
    "snow": "white and cold", "coffee": "dark and strong",
    "chess": "quiet and hard", "football": "fast and loud", "summer": "warm and long",
    "autumn": "golden and calm", "spring": "fresh and green", "gardens": "full of life", "rivers": "long and calm",
    "mountains": "high and still", "forests": "dark and quiet", "trains": "long and punctual",
    "bicycles": "light and quick", "boats": "slow and peaceful", "maps": "old and useful", "clocks": "small and exact",
    "letters": "slow and personal", "museums": "quiet and full of stories", "markets": "busy and colorful",
    "bridges": "strong and useful", "villages": "small and friendly", "cities": "big and lively",
    "the sun": "warm and bright", "the wind": "wild and free", "the stars": "far and many",
    "the desert": "dry and wide", "birds": "quick and light", "horses": "strong and gentle", "fish": "silent and quick",
    "bees": "small and busy", "flowers": "bright and short-lived", "candles": "warm and quiet",
    "cheese": "rich and salty", "soup": "warm and simple", "apples": "sweet and crisp", "chocolate": "dark and sweet",
    "honey": "golden and sweet", "painting": "slow and patient", "dancing": "free and light",
    "singing": "good for the lungs", "reading": "quiet and rich", "cooking": "simple and creative",
    "swimming": "healthy and fun", "walking": "slow and healthy", "travel": "exciting and tiring",
    "history": "long and surprising", "poetry": "short and deep", "theater": "lively and close",
    "holidays": "short and sweet", "friendship": "warm and lasting", "sleep": "deep and needed",
}  # fmt: skip
_NEW_ENGLISH = {
    "sand": "fine and warm", "ice": "cold and clear", "wool": "soft and warm", "paper": "thin and white",
    "tennis": "quick and fun", "opera": "loud and moving", "glass": "clear and hard", "lakes": "calm and deep",
    "stones": "hard and old", "pears": "sweet and green", "jazz": "free and lively", "hats": "useful and pretty",
    "kites": "light and bright", "fog": "gray and still", "the opera house": "large and old", "drums": "loud and fun",
}  # fmt: skip
"""Topics of new instances alone."""
EASY_TOPICS = (*_ENGLISH, *(topic for topic in plurals(NOUNS) if topic not in _ENGLISH))
EASY_ASKS = (
    "Tell me about {}.",
    "What do you think of {}?",
    "Do you like {}?",
    "Let us talk about {}.",
    "Say something about {}.",
    "Any thoughts on {}?",
    "Please write about {}.",
    "Can we talk about {}?",
)


def _english_sentence(topic: str, said: str) -> str:
    verb = "are" if topic.endswith("s") and topic != "chess" else "is"
    return f"{topic[0].upper()}{topic[1:]} {verb} {said}."


NEW_TOPICS = {topic: _english_sentence(topic, said) for topic, said in _NEW_ENGLISH.items()}
"""Topics that no trained problem has, each with a sentence about it."""
PHRASES = {
    "en": Phrases(
        ("", "Hi! ", "Hello. ", "Good morning. ", "I have a moment. ", "One more thing. ", "A new topic. "),
        (*EASY_ASKS, "Share a thought about {}.", "What comes to your mind about {}?", "I would like to hear about {}.",
         "Write to me about {}."),
        ("Use one sentence.", "Use two or three sentences.", "Use a short paragraph of three to six sentences.",
         "End with a question.", "Ask nothing."),
        "What do you think?",
        ("I like to talk about it.", "There is a lot to say."),
        {topic: _english_sentence(topic, said) for topic, said in _ENGLISH.items()},
        {},
    ),
    "de": Phrases(
        ("", "Hallo! ", "Guten Morgen! ", "Guten Abend! "),
        ("Erzähl mir etwas zu diesem Thema: {}.", "Was denkst du über dieses Thema: {}?",
         "Sag etwas zum folgenden Thema: {}.", "Lass uns plaudern. Thema: {}.", "Schreib bitte etwas zum Thema: {}."),
        ("Antworte mit genau einem Satz.", "Antworte mit zwei oder drei Sätzen.",
         "Antworte mit einem Absatz von drei bis sechs Sätzen.", "Ende mit einer Frage.", "Stell keine Frage."),
        "Was denkst du?",
        ("Ich rede gern darüber.", "Dazu gibt es viel zu sagen."),
        {"das Meer": "Das Meer ist tief und blau.", "der Mond": "Der Mond ist rund und hell.",
         "Musik": "Musik tut dem Herzen gut.", "Brot": "Das Brot ist warm und gut.",
         "Regen": "Der Regen ist sanft und kühl.",
         "der Winter": "Der Winter ist kalt und weiß.", "Katzen": "Katzen sind weich und klug.",
         "Hunde": "Hunde sind lieb und treu.", "Bücher": "Bücher sind voller Ideen.",
         "Tee": "Der Tee ist heiß und gut.",
         "Bäume": "Bäume sind hoch und grün.", "Schnee": "Der Schnee ist weiß und kalt."},
        {},
    ),
    "es": Phrases(
        ("", "¡Hola! ", "¡Buenos días! ", "¡Buenas tardes! "),
        ("Cuéntame algo sobre este tema: {}.", "¿Qué piensas de este tema: {}?", "Di algo sobre este tema: {}.",
         "Vamos a charlar. Tema: {}.", "Escribe algo sobre el siguiente tema: {}."),
        ("Responde con una sola frase.", "Responde con dos o tres frases.",
         "Responde con un párrafo de tres a seis frases.", "Termina con una pregunta.", "No hagas ninguna pregunta."),
        "¿Qué piensas tú?",
        ("Me gusta hablar de ello.", "Hay mucho que decir."),
        {"el mar": "El mar es profundo y azul.", "la luna": "La luna es redonda y brillante.",
         "la música": "La música es buena para el corazón.", "el pan": "El pan es bueno y está caliente.",
         "la lluvia": "La lluvia es suave y fresca.", "el invierno": "El invierno es frío y blanco.",
         "los gatos": "Los gatos son suaves y listos.", "los perros": "Los perros son buenos y fieles.",
         "los libros": "Los libros están llenos de ideas.", "el té": "El té es bueno y está caliente.",
         "los árboles": "Los árboles son altos y verdes.", "la nieve": "La nieve es blanca y fría."},
        {},
    ),
    "fr": Phrases(
        ("", "Salut ! ", "Bonjour ! ", "Bonsoir ! "),
        ("Parle-moi de ce sujet : {}.", "Que penses-tu de ce sujet : {} ?", "Dis quelque chose sur ce sujet : {}.",
         "Bavardons un peu. Sujet : {}.", "Écris quelque chose sur le sujet suivant : {}."),
        ("Réponds en une seule phrase.", "Réponds en deux ou trois phrases.",
         "Réponds par un paragraphe de trois à six phrases.", "Termine par une question.", "Ne pose pas de question."),
        "Qu'en penses-tu ?",
        ("J'aime bien en parler.", "Il y a beaucoup à dire."),
        {"la mer": "La mer est profonde et bleue.", "la lune": "La lune est ronde et claire.",
         "la musique": "La musique est bonne pour le cœur.", "le pain": "Le pain est chaud et bon.",
         "la pluie": "La pluie est douce et fraîche.", "l'hiver": "L'hiver est froid et blanc.",
         "les chats": "Les chats sont doux et malins.", "les chiens": "Les chiens sont gentils et fidèles.",
         "les livres": "Les livres sont pleins d'idées.", "le thé": "Le thé est chaud et bon.",
         "les arbres": "Les arbres sont grands et verts.", "la neige": "La neige est blanche et froide."},
        {},
    ),
    "pt": Phrases(
        ("", "Olá! ", "Bom dia! ", "Boa tarde! "),
        ("Fale-me sobre este tema: {}.", "O que você acha deste tema: {}?", "Diga algo sobre este tema: {}.",
         "Vamos conversar. Tema: {}.", "Escreva algo sobre o seguinte tema: {}."),
        ("Responda com uma única frase.", "Responda com duas ou três frases.",
         "Responda com um parágrafo de três a seis frases.", "Termine com uma pergunta.", "Não faça nenhuma pergunta."),
        "O que você acha?",
        ("Gosto de falar sobre isso.", "Há muito para dizer."),
        {"o mar": "O mar é profundo e azul.", "a lua": "A lua é redonda e brilhante.",
         "a música": "A música é boa para o coração.", "o pão": "O pão é quente e bom.",
         "a chuva": "A chuva é suave e fresca.", "o inverno": "O inverno é frio e branco.",
         "os gatos": "Os gatos são macios e espertos.", "os cães": "Os cães são bons e fiéis.",
         "os livros": "Os livros são cheios de ideias.", "o chá": "O chá é quente e bom.",
         "as árvores": "As árvores são altas e verdes.", "a neve": "A neve é branca e fria."},
        {},
    ),
    "it": Phrases(
        ("", "Ciao! ", "Buongiorno! ", "Buonasera! "),
        ("Parlami di questo argomento: {}.", "Che cosa pensi di questo argomento: {}?",
         "Racconta qualcosa su questo argomento: {}.", "Facciamo due chiacchiere. Argomento: {}.",
         "Scrivi qualcosa sul seguente argomento: {}."),
        ("Rispondi con una sola frase.", "Rispondi con due o tre frasi.",
         "Rispondi con un paragrafo da tre a sei frasi.", "Finisci con una domanda.", "Non fare domande."),
        "Tu che cosa ne pensi?",
        ("Mi piace parlare di questo.", "Ci sono molte cose da dire."),
        {"il mare": "Il mare è profondo e blu.", "la luna": "La luna è rotonda e chiara.",
         "la musica": "La musica è buona per il cuore.", "il pane": "Il pane è caldo e buono.",
         "la pioggia": "La pioggia è dolce e fresca.", "l'inverno": "L'inverno è freddo e bianco.",
         "i gatti": "I gatti sono morbidi e furbi.", "i cani": "I cani sono buoni e fedeli.",
         "i libri": "I libri sono pieni di idee.", "il tè": "Il tè è caldo e buono.",
         "gli alberi": "Gli alberi sono alti e verdi.", "la neve": "La neve è bianca e fredda."},
        {},
    ),
    "nl": Phrases(
        ("", "Hallo! ", "Goedemorgen! ", "Goedenavond! "),
        ("Vertel me iets over dit onderwerp: {}.", "Wat vind je van dit onderwerp: {}?",
         "Zeg iets over het volgende onderwerp: {}.", "Laten we praten. Onderwerp: {}.",
         "Schrijf iets over dit onderwerp: {}."),
        ("Antwoord met één zin.", "Antwoord met twee of drie zinnen.",
         "Antwoord met een alinea van drie tot zes zinnen.",
         "Eindig met een vraag.", "Stel geen vraag."),
        "Wat vind jij?",
        ("Ik praat er graag over.", "Er is veel over te zeggen."),
        {"de zee": "De zee is diep en blauw.", "de maan": "De maan is rond en helder.",
         "muziek": "Muziek is goed voor het hart.", "brood": "Het brood is warm en lekker.",
         "regen": "De regen is zacht en koel.", "de winter": "De winter is koud en wit.",
         "katten": "Katten zijn zacht en slim.", "honden": "Honden zijn lief en trouw.",
         "boeken": "De boeken zijn vol ideeën.", "thee": "De thee is heet en lekker.",
         "bomen": "Bomen zijn hoog en groen.", "sneeuw": "De sneeuw is wit en koud."},
        {},
    ),
    "cs": Phrases(
        ("", "Ahoj! ", "Dobré ráno! ", "Dobrý večer! "),
        ("Řekni mi něco na toto téma: {}.", "Co si myslíš o tomto tématu: {}?", "Napiš něco na téma: {}.",
         "Pojďme si povídat. Téma: {}.", "Pověz mi něco k tomuto tématu: {}."),
        ("Odpověz jednou větou.", "Odpověz dvěma nebo třemi větami.", "Odpověz odstavcem o třech až šesti větách.",
         "Skonči otázkou.", "Na nic se neptej."),
        "Co si myslíš ty?",
        ("O tom se mluví dobře.", "Je o tom co říct."),
        {"moře": "Moře je hluboké a modré.", "měsíc": "Měsíc je kulatý a jasný.", "hudba": "Hudba je dobrá pro srdce.",
         "chléb": "Chléb je teplý a dobrý.", "déšť": "Déšť je jemný a chladný.", "zima": "Zima je studená a bílá.",
         "kočky": "Kočky jsou hebké a chytré.", "psi": "Psi jsou hodní a věrní.",
         "knihy": "Knihy jsou plné nápadů a snů.",
         "čaj": "Čaj je horký a dobrý.", "stromy": "Stromy jsou vysoké a zelené.", "sníh": "Sníh je bílý a studený."},
        {"moře": ("moř",), "hudba": ("hudb", "hudeb"), "chléb": ("chléb", "chleb"), "déšť": ("déšť", "dešť", "dešt"),
         "zima": ("zim",), "kočky": ("koč",), "psi": ("psi", "psy", "psů", "pes"), "knihy": ("knih",),
         "stromy": ("strom",), "sníh": ("sníh", "sněh")},
    ),
    "ja": Phrases(
        ("", "こんにちは。", "おはようございます。", "こんばんは。"),
        ("次の話題について話してください:{}。", "この話題についてどう思いますか:{}?",
         "次の話題について何か言ってください:{}。", "おしゃべりしましょう。話題:{}。",
         "次の話題について書いてください:{}。"),
        ("一つの文で答えてください。", "二つか三つの文で答えてください。", "三つから六つの文の段落で答えてください。",
         "最後に質問をしてください。", "質問はしないでください。"),
        "あなたはどう思いますか?",
        ("その話をするのが好きです。", "話すことはたくさんあります。"),
        {"海": "海は深くて青いです。", "月": "月は丸くて明るいです。", "音楽": "音楽は心によいものです。",
         "パン": "パンは温かくておいしいです。", "雨": "雨は静かで涼しいです。", "冬": "冬は寒くて白いです。",
         "猫": "猫はやわらかくて賢いです。", "犬": "犬はやさしくて忠実です。", "本": "本はアイデアでいっぱいです。",
         "お茶": "お茶は熱くておいしいです。", "木": "木は高くて緑色です。", "雪": "雪は白くて冷たいです。"},
        {},
    ),
    "ko": Phrases(
        ("", "안녕하세요. ", "좋은 아침입니다. ", "반갑습니다. "),
        ("다음 주제에 대해 이야기해 주세요: {}.", "이 주제에 대해 어떻게 생각하세요: {}?",
         "다음 주제에 대해 한마디 해 주세요: {}.", "이야기를 나눠요. 주제: {}.", "다음 주제에 대해 써 주세요: {}."),
        ("한 문장으로 답해 주세요.", "두세 문장으로 답해 주세요.",
         "세 문장에서 여섯 문장의 한 단락으로 답해 주세요.",
         "질문으로 끝내 주세요.", "질문은 하지 마세요."),
        "어떻게 생각하세요?",
        ("그 이야기를 하는 것을 좋아합니다.", "할 이야기가 많습니다."),
        {"바다": "바다는 깊고 푸릅니다.", "달": "달은 둥글고 밝습니다.", "음악": "음악은 마음에 좋습니다.",
         "빵": "빵은 따뜻하고 맛있습니다.", "비": "비는 부드럽고 시원합니다.", "겨울": "겨울은 춥고 하얗습니다.",
         "고양이": "고양이는 부드럽고 영리합니다.",
         "개": "개는 다정하고 충실합니다.", "책": "책은 생각으로 가득합니다.",
         "차": "차는 뜨겁고 맛있습니다.", "나무": "나무는 높고 푸릅니다.", "눈": "눈은 하얗고 차갑습니다."},
        {},
    ),
    "zh": Phrases(
        ("", "你好。", "早上好。", "晚上好。"),
        ("请谈谈这个话题:{}。", "你对这个话题怎么看:{}?", "请就下面的话题说点什么:{}。", "我们聊聊吧。话题:{}。",
         "请写一写这个话题:{}。"),
        ("请用一句话回答。", "请用两三句话回答。", "请用三到六句话的一段回答。", "请以问题结尾。", "请不要提问。"),
        "你觉得呢?",
        ("我喜欢聊这个。", "可以说的有很多。"),
        {"大海": "大海又深又蓝。", "月亮": "月亮又圆又亮。", "音乐": "音乐对心灵有好处。", "面包": "面包又热又香。",
         "雨": "雨又轻柔又凉爽。", "冬天": "冬天又冷又白。", "猫": "猫又柔软又聪明。", "狗": "狗又善良又忠诚。",
         "书": "书里充满了想法。", "茶": "茶又热又好喝。", "树": "树又高又绿。", "雪": "雪又白又冷。"},
        {},
    ),
    "ar": Phrases(
        ("", "مرحبا. ", "صباح الخير. ", "مساء الخير. "),
        ("حدثني عن هذا الموضوع: {}.", "ما رأيك في هذا الموضوع: {}؟", "قل شيئا عن الموضوع التالي: {}.",
         "هيا نتحدث. الموضوع: {}.", "اكتب شيئا عن هذا الموضوع: {}."),
        ("أجب بجملة واحدة.", "أجب بجملتين أو ثلاث جمل.", "أجب بفقرة من ثلاث إلى ست جمل.", "اختم بسؤال.",
         "لا تطرح أي سؤال."),
        "ما رأيك أنت؟",
        ("أحب الحديث عن ذلك.", "هناك الكثير مما يقال."),
        {"البحر": "البحر عميق وأزرق.", "القمر": "القمر مستدير ومضيء.", "الموسيقى": "الموسيقى مفيدة للقلب.",
         "الخبز": "الخبز ساخن ولذيذ.", "المطر": "المطر لطيف ومنعش.", "الشتاء": "الشتاء بارد وأبيض.",
         "القطط": "القطط ناعمة وذكية.", "الكلاب": "الكلاب لطيفة ووفية.", "الكتب": "الكتب مليئة بالأفكار.",
         "الشاي": "الشاي ساخن ولذيذ.", "الأشجار": "الأشجار طويلة وخضراء.", "الثلج": "الثلج أبيض وبارد."},
        {},
    ),
}  # fmt: skip
